"""Runner groups as one writes them on a command line: `cpu-runners labels=self-hosted,linux maxWorkers=30`.

The first word is the group's name; every other one is KEY=VALUE with a field of the ActionsGateway's runnerGroups, or
one of three short forms: labels=A,B, tiers=CLASS:5,CLASS:20 and image=REFERENCE.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from actions_gateway.api.gateway import RunnerGroupEntry
from gw.errors import Refused

EXAMPLE = 'Write it like --runner-group "cpu-runners labels=self-hosted,linux maxWorkers=30".'

_WHOLE_NUMBERS = frozenset({"maxListeners", "maxWorkers", "maxEvictionRetries", "maxQuotaRetries"})
_TEXTS = frozenset(
    {"evictionRetryDelay", "quotaRetryDelay", "completedPodTTL", "pendingPodDeadline", "maxWorkerLifetime"}
)
_FLAGS = frozenset({"suspended"})
KEYS = ("labels", "tiers", "image", *sorted(_WHOLE_NUMBERS | _TEXTS | _FLAGS))


def parse_group(text: str) -> dict[str, Any]:
    """One entry of spec.runnerGroups; raises Refused that names the word."""
    entry = parse_fields(text)
    if "runnerLabels" not in entry:
        raise Refused(f"runner group {entry['name']} has no labels, so no job could ask for it", EXAMPLE)
    check_group(entry)
    return entry


def parse_fields(text: str) -> dict[str, Any]:
    """The group's name and the fields that were written, which need not be a whole entry; raises Refused."""
    name, *words = text.split() or [""]
    if not name or "=" in name:
        raise Refused(f"the runner group {text!r} does not begin with a name", EXAMPLE)
    entry: dict[str, Any] = {"name": name}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise Refused(f"runner group {name}: {word!r} is not KEY=VALUE", EXAMPLE)
        entry |= _field(name, key, value)
    return entry


def check_group(entry: dict[str, Any]) -> None:
    """Raises Refused for an entry that the API would refuse, naming group and field."""
    try:
        RunnerGroupEntry.model_validate(entry)
    except ValidationError as problem:
        raise Refused(f"runner group {entry.get('name')}: {first_error(problem)}", EXAMPLE) from problem


def first_error(problem: ValidationError) -> str:
    """The first violation as `field: what`, without the value."""
    error = problem.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    what = error["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def _field(group: str, key: str, value: str) -> dict[str, Any]:
    if key == "labels":
        return {"runnerLabels": [label for label in value.split(",") if label]}
    if key == "tiers":
        return {"priorityTiers": parse_tiers(group, [value])}
    if key == "image":
        return {"workerImage": value}
    if key in _WHOLE_NUMBERS:
        return {key: _whole_number(f"runner group {group}: {key}", value)}
    if key in _TEXTS:
        return {key: value}
    if key in _FLAGS:
        return {key: _flag(f"runner group {group}: {key}", value)}
    raise Refused(f"runner group {group}: there is no field {key!r}", f"The fields are: {', '.join(KEYS)}.")


def parse_tiers(group: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The priority tiers of `critical:5,standard:20`, given once or often; raises Refused."""
    return [_tier(group, tier) for text in texts for tier in text.split(",") if tier]


def _tier(group: str, text: str) -> dict[str, Any]:
    name, _, threshold = text.rpartition(":")
    if not name:
        raise Refused(
            f"runner group {group}: the tier {text!r} is not CLASS:THRESHOLD", "Write tiers=critical:5,standard:20."
        )
    return {"priorityClassName": name, "threshold": _whole_number(f"runner group {group}: the tier {name}", threshold)}


def _whole_number(what: str, text: str) -> int:
    if not text.isdigit():
        raise Refused(f"{what} is {text!r}, which is no whole number", EXAMPLE)
    return int(text)


def _flag(what: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise Refused(f"{what} is {text!r}, which is neither true nor false", EXAMPLE)
    return text == "true"
