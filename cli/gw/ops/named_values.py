"""Finds the values that text gives to names such as password or token, in whichever way it writes that down.

JSON and YAML, shells and env files, INI files, headers, parameters of URLs, connection strings and command lines. Some
names stand for a value alone (password); others are words of sentences, too (token, secret): after a colon these need a
value that looks like one, or a place where no sentence stands. Quotes of any depth count, as JSON inside of JSON has
them. A value without quotes ends at a space, at the quote around the whole, or where the next pair begins.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from actions_gateway.api import labels
from gw.ops.keys.manifests import secret_version

_KEYS = "private|client|api|access|secret|account|signing|encryption"
_PLAIN = (
    r"passw(?:or)?d|passphrase|pwd|"
    # Words of English end so, too, and a test run tells how many pass.
    r"(?<=[a-z0-9_.-])(?<!by)(?<!com)(?<!sur)(?<!es)pass"
)
_WORDS = (
    rf"token|secret|(?:{_KEYS})[_-]?key(?:[_-]?data)?|credentials?|signature|(?<![a-z0-9])sig|jit[_-]?config|"
    r"authorization|(?<![a-z])auth|(?-i:(?<=[a-z])Auth)|(?<![a-z0-9_.-])pass"
)
NAMES = rf"[A-Za-z0-9_.-]*(?:{_PLAIN}|{_WORDS})"
"""A whole name whose value goes, to be matched without regard to case."""

_BEGINNINGS = ("pass", "pwd", "token", "secret", "credential", "sig", "jit", "auth", *_KEYS.split("|"))
"""The words that count begin so; to look for these is many times faster than to try a pattern everywhere."""
_QUOTE = r"\\{0,15}[\"']"
_ASSIGNED = re.compile(
    rf"""(?ix)
    (?: (?P<plain> {_PLAIN} ) | (?P<word> {_WORDS} ) )
    (?: (?P<close> {_QUOTE} ) (?P<far> [ \t]* ) (?: : \s* | => [ \t]* | = [ \t]* )
      | (?P<before> [ \t]* ) (?P<sign> :?= (?! =[ \t] ) (?: > (?= [ \t]*["'] ) )? | : ) (?P<after> [ \t]* )
    )"""
)
_FLAGGED = re.compile(
    rf"""(?ix) (?<! [a-z0-9_.-] ) --? {NAMES}
    (?: [ \t]+ | {_QUOTE} [ \t]* ,? [ \t]* (?= {_QUOTE} ) )  (?! --[a-z] )"""
)
_MARK = r"\[removed:[ ][a-z-]+\]"
_MARKED = re.compile(_MARK)
_OPENING = re.compile(rf"(?i)[burf$]{{0,2}}(?P<quote>{_QUOTE})")
_INSIDE = {
    '"': re.compile(r'(?:[^"\\]|\\.|\\\Z)*', re.S),
    # YAML doubles a quote; a shell ends the quotes for it and begins them again.
    "'": re.compile(r"""(?:\\?'"'"'|[^'\\]|\\.|\\\Z|''|'\\'')*""", re.S),
}
_NUMBER = re.compile(r"-?[0-9][0-9.eE+-]*(?![^\s,}\]\"'\\])")
_NO_VALUE = re.compile(r"(?i)(?:true|false|null|none|nil)(?![^\s,;}\]\"'\\])")
_COMPOSED = re.compile(r"[{\[](?!removed:)")
_END_OF_WHOLE = rf"{_QUOTE}(?:[\s,:;}}\])]|\Z)"
_NEXT_PAIR = (
    r"(?:(?:[&,]|\\{1,15}[nrt])[ ]?[A-Za-z_][A-Za-z0-9_.-]{0,60}[=:]"
    # Connection strings have names of several words.
    r"|;[ ]?[A-Za-z_][A-Za-z0-9_. -]{0,60}=)"
)
_RUN = re.compile(rf"(?:{_MARK}|(?!{_END_OF_WHOLE}|{_NEXT_PAIR}|[,;]{{1,3}}(?:\s|\Z))\S)+")
_REST = re.compile(r"[^\r\n]*[^\s]")
_REST_OF_QUOTED = re.compile(rf"(?:(?!{_END_OF_WHOLE}|\\{{1,15}}[nr])[^\r\n])+")
_PAIR = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*=(?![=\s]|\Z)")
_LIKELY = re.compile(r"(?=[^\s\"'&,;}]{0,200}[0-9])[^\s\"'&,;}]{8,}")
"""No word of a sentence."""
_LINE = re.compile(r"[\s>]*(?:-[ \t]+)?(?:export[ \t]+)?[A-Za-z0-9_.-]*")
_LONGEST_BEGINNING = 200
_LAST_WORD = re.compile(r"\S+[ \t]*(?:[\r\n]|\Z)")
_REFERENCE = labels.CREDENTIAL_SECRET.removesuffix("secret")


@dataclass(frozen=True, slots=True)
class _Value:
    """Where a value stands in a text, without its quotes."""

    begin: int
    end: int
    quote: str = ""
    """What has to stand around a mark in its place, since a number in JSON has none."""


def replace_named(text: str, replacement: Callable[[], str]) -> str:
    """The text with every named value replaced; one that is a mark of redaction already stays as it is."""
    places = _places(text)
    if not places:
        return text
    flags = {found.start(): found for found in _FLAGGED.finditer(text)}
    pieces: list[str] = []
    done = 0
    for at in sorted({*places, *flags}):
        is_flag, found = at in flags, flags.get(at) or _ASSIGNED.match(text, at)
        # A value that goes is not looked into, else a hostile line would take minutes; but its end may be a name.
        if found is None or found.end() < done:
            continue
        value = _flagged(text, found) if is_flag else _assigned(text, found)
        if value is None or value.begin == value.end or _MARKED.fullmatch(text, value.begin, value.end):
            continue
        pieces += text[done : value.begin], value.quote, replacement(), value.quote
        done = value.end
    return "".join([*pieces, text[done:]]) if pieces else text


def _places(text: str) -> list[int]:
    """Where a name may begin."""
    # In lower case, the few letters that are two then are as wrong for a name as any other.
    lower = text.lower() if text.isascii() else "".join(letter.lower() if letter.isascii() else "?" for letter in text)
    places = []
    for beginning in _BEGINNINGS:
        at = lower.find(beginning)
        while at >= 0:
            places.append(at)
            at = lower.find(beginning, at + 1)
    return sorted(places)


def _assigned(text: str, found: re.Match[str]) -> _Value | None:
    value = _after_quoted_name(text, found) if found["close"] else _after_bare_name(text, found)
    return None if value is None or _is_reference(text, found, value) else value


def _flagged(text: str, found: re.Match[str]) -> _Value | None:
    return _quoted(text, found.end()) or _run(text, found.end())


def _is_reference(text: str, found: re.Match[str], value: _Value) -> bool:
    """Whether it only names a Secret, in the ways that gateways and gw do."""
    if (found["word"] or "").lower() != "secret":
        return False
    if text.endswith(_REFERENCE, 0, found.start()):
        return True
    return not _is_identifier(text, found) and secret_version(text[value.begin : value.end]) > 0


def _after_quoted_name(text: str, found: re.Match[str]) -> _Value | None:
    at = found.end()
    if value := _quoted(text, at):
        return value
    if number := _NUMBER.match(text, at):
        return _Value(at, number.end(), found["close"])
    # Kubernetes says `volume "some-token" : secret "x" not found`.
    is_meant = found["plain"] and not found["far"] and not _COMPOSED.match(text, at)
    return _run(text, at) if is_meant else None


def _after_bare_name(text: str, found: re.Match[str]) -> _Value | None:
    at, is_colon = found.end(), found["sign"] == ":"
    if value := _quoted(text, at):
        return value
    begins_line, rest = _place(text, found.start())
    if found["plain"] and begins_line and found["after"] and (is_colon or found["before"]):
        # In files a passphrase of several words has no quotes.
        return _unquoted(rest, text, at)
    if not is_colon:
        is_empty = found["after"] and not found["before"] and _PAIR.match(text, at)
        return None if is_empty else _run(text, at)
    if found["plain"] or _is_identifier(text, found) or (begins_line and _LAST_WORD.match(text, at)):
        return None if text.startswith("//", at) else _run(text, at)
    return _run(text, at) if _LIKELY.match(text, at) else None


def _is_identifier(text: str, found: re.Match[str]) -> bool:
    """Whether the name is more than a word of a sentence: client_secret, authToken, api-key."""
    before = text[found.start() - 1 : found.start()] if found.start() else ""
    return before.isalnum() or before == "_" or "key" in found[0].lower()


def _place(text: str, at: int) -> tuple[bool, re.Pattern[str]]:
    """Whether nothing but a name begins the line there, also one inside of a JSON string; and how the line ends."""
    first = max(0, at - _LONGEST_BEGINNING)
    begin, escaped = text.rfind("\n", first, at) + 1, text.rfind("\\n", first, at) + 2
    if escaped > max(begin, 1):
        return _LINE.fullmatch(text, escaped, at) is not None, _REST_OF_QUOTED
    return (begin > 0 or first == 0) and _LINE.fullmatch(text, begin, at) is not None, _REST


def _quoted(text: str, at: int) -> _Value | None:
    """What is in quotes there; of quotes that do not end, all that follows."""
    opening = _OPENING.match(text, at)
    if opening is None:
        return None
    return _Value(opening.end(), _end_of_quoted(text, opening.end(), opening["quote"]))


def _end_of_quoted(text: str, begin: int, quote: str) -> int:
    if len(quote) == 1:
        inside = _INSIDE[quote].match(text, begin)
        assert inside is not None
        return inside.end()
    closing = re.compile(rf"(?<!\\){re.escape(quote)}").search(text, begin)
    return closing.start() if closing else len(text)


def _run(text: str, at: int) -> _Value | None:
    return _unquoted(_RUN, text, at)


def _unquoted(shape: re.Pattern[str], text: str, at: int) -> _Value | None:
    found = shape.match(text, at)
    return None if found is None or _NO_VALUE.match(text, at) else _Value(at, found.end())
