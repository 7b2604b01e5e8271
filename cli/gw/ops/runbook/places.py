"""What the words in capitals in a page's commands stand for, and how values take their place without any danger.

A value is put in as it stands, in quotes or out of them. So it may hold only what no shell reads anything into: the
characters that `shlex.quote` leaves alone; and none begins with a hyphen, which would make an option of it.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gw.errors import Refused


@dataclass(frozen=True, slots=True)
class Form:
    """How the values of a sort of places look."""

    words: str
    """What it has to be, as a sentence goes on after "it is no"."""
    pattern: re.Pattern[str]
    example: str


_NAME = Form("name of a Kubernetes object", re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"), "team-a")
_NUMBER = Form("number", re.compile(r"[0-9]{1,19}"), "12")
_QUANTITY = Form("quantity", re.compile(r"[0-9]+(\.[0-9]+)?(m|k|[KMGTPE]i?)?"), "50")
_AMOUNT = Form("amount", re.compile(r"\+?[0-9]+(\.[0-9]+)?(%|m|k|[KMGTPE]i?)?"), "50")
_KEY = Form("key of a quota", re.compile(r"[a-z][a-z0-9./-]{0,252}"), "requests.cpu")
_PATH = Form("path of a file without blanks", re.compile(r"[\w./@%+=:,][\w./@%+=:,-]{0,1023}", re.ASCII), "app.pem")
_URL = Form("https address", re.compile(r"https://[\w./:%+=@-]{1,1015}", re.ASCII), "https://github.com/acme/shop")
_WORD = Form("word without blanks", re.compile(r"[\w][\w.@:/-]{0,252}", re.ASCII), "alice")
_DURATION = Form("duration", re.compile(r"([0-9]+[smhd])+"), "1h30m")

FORMS: Mapping[str, Form] = {
    "TENANT": _NAME,
    "GATEWAY": _NAME,
    "GROUP": _NAME,
    "QUOTA": _NAME,
    "OLD_SECRET": _NAME,
    "NEW_SECRET": _NAME,
    "FAULT": _NAME,
    "APP_ID": _NUMBER,
    "INSTALLATION_ID": _NUMBER,
    "COUNT": _NUMBER,
    "RUN": _NUMBER,
    "AMOUNT": _AMOUNT,
    "HARD": _QUANTITY,
    "KEY": _KEY,
    "KEY_FILE": _PATH,
    "FILE": _PATH,
    "RELEASE": _PATH,
    "URL": _URL,
    "CLUSTER": _WORD,
    "HOST": _WORD,
    "CA_FILE": _PATH,
    "IMAGE": _WORD,
    "MIRROR": _WORD,
    "ADDRESS": _WORD,
    "CIDR": _WORD,
    "PERSON": _WORD,
    "SINCE": _DURATION,
}
"""Every word that a page may use as a place, and what its values look like."""


def places_in(text: str) -> set[str]:
    """The places that a command names."""
    return set(_PLACE.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The command with its places filled in; one without a value stays as it is."""
    return _PLACE.sub(lambda found: values.get(found[0], found[0]), text)


def check_value(place: str, value: str) -> str:
    """The value itself; raises Refused for one that is not what the place stands for, or that a shell would read."""
    form = FORMS[place]
    if not form.pattern.fullmatch(value) or shlex.quote(value) != value or value.startswith("-"):
        raise Refused(f"{place} cannot be {value!r}: it is no {form.words}", f"Write --set {place}={form.example}.")
    return value


def parse_values(given: Iterable[str]) -> dict[str, str]:
    """The values of `PLACE=VALUE` words; raises Refused, also for a place that is named twice."""
    values: dict[str, str] = {}
    for word in given:
        place, sign, value = word.partition("=")
        if not sign or place not in FORMS:
            raise Refused(
                f"--set {word!r} names no place", "Write --set TENANT=team-a; the page's front matter names its places."
            )
        if place in values:
            raise Refused(f"--set names {place} twice", "Name it once.")
        values[place] = check_value(place, value)
    return values


# A word behind a dollar is the shell's own variable.
_PLACE = re.compile(rf"(?<![\w$])(?:{'|'.join(sorted(FORMS, key=len, reverse=True))})(?!\w)")
