"""Takes keys, tokens and passwords out of what leaves the cluster in somebody's hands: log lines, texts and objects.

By shape (PEM, GitHub's tokens, JSON web tokens, long runs of base64), by what stands before it (an authorization
scheme, the name of a field, a URL's user), and in objects by the name of an environment variable or a key. When in
doubt a value goes: what is missing is marked, counted by rule, and can be asked for. Nothing here reads a Secret.

Shapes: RFC 7468 (PEM), RFC 7519 (JWT), RFC 3986 section 3.2.1 (user information), GitHub documentation, "About
authentication to GitHub" (prefixes of tokens).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels
from gw.ops.named_values import NAMES, replace_named


class Rule(StrEnum):
    """Why something was removed."""

    PRIVATE_KEY = "private-key"
    GITHUB_TOKEN = "github-token"
    JSON_WEB_TOKEN = "json-web-token"
    AUTHORIZATION = "authorization"
    URL_USER = "url-user"
    NAMED_VALUE = "named-value"
    ENVIRONMENT = "environment"
    LAST_APPLIED = "last-applied"
    OPAQUE = "opaque"


REMOVES: Mapping[Rule, str] = {
    Rule.PRIVATE_KEY: "private keys in PEM form, also in base64, and lines that may be a part of one",
    Rule.GITHUB_TOKEN: "tokens with GitHub's prefixes",
    Rule.JSON_WEB_TOKEN: "JSON web tokens, as Kubernetes and GitHub Actions give them out, and other JSON in base64",
    Rule.AUTHORIZATION: "what follows Bearer, Basic or an Authorization header's name",
    Rule.URL_USER: "user and password in a URL",
    Rule.NAMED_VALUE: "values of fields, parameters and flags that are named token, password, secret, key or alike",
    Rule.ENVIRONMENT: "values of environment variables whose names look secret",
    Rule.LAST_APPLIED: "kubectl's copy of an object in its annotations",
    Rule.OPAQUE: "other long runs of base64",
}

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]*-----")
_PEM = re.compile(rf"{_PEM_BEGIN.pattern}.*?(?:{_PEM_END.pattern}|\Z)", re.DOTALL)
_PEM_BASE64 = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*")
"""`-----BEGIN ` in base64, as in a kubeconfig."""
_PEM_PART = re.compile(r"[ \t]*(?=[^\s]*[a-z])(?=[^\s]*[A-Z])(?=[^\s]*[0-9+/=])[A-Za-z0-9+/]{16,}={0,2}[ \t]*")
_PEM_LINES = 120
"""More than any key has; a block without an end ends here."""
_FLAG = re.compile(rf"(?i)--?{NAMES}")
_SCHEME = re.compile(r"(?i)\b(?P<name>bearer|basic|remoteauth)[ \t]+[A-Za-z0-9._~+/=-]{8,}")
_HEADER = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization['\"]?[ \t]*[:=][ \t]*['\"]?)(?!\[removed)(?:[a-z]+[ \t]+)?[^\s'\",;]+"
)
_URL_USER = re.compile(
    r"://(?:[^\s/@:\"'<>\\]{0,256}:[^\s\"']{0,1024}@"
    r"(?=(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?![^\s/?#\"'\\<>,;)}\]]))"
    r"|[^\s/\"'<>\\]{1,1024}@)"
)
"""A password that is not encoded as it should be has slashes and at signs: it ends at the last one before a host."""
_GITHUB_TOKEN = re.compile(r"(?:gh[opsur]_|github_pat_)[A-Za-z0-9_.\-]{8,}|\bv1\.[0-9a-f]{40}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_+/-]{5,}={0,2}(?:\.[A-Za-z0-9_-]*){0,4}")
"""Or any other JSON in base64, as the registries of a pull Secret."""
_RUNS = (
    re.compile(r"(?<!SHA256:)(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}"),
    re.compile(r"(?<!SHA256:)(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{40,}"),
)
"""Base64, and its form for URLs (RFC 4648); a key's fingerprint is public."""
_RUN = 40
_LONG_WORD = re.compile(r"(?<!\S)\S{40,}")
_PATH_LIKE = 12
"""One slash in so many characters is a path's; base64 has one in 64."""

_SECRET_NAME = re.compile(
    r"(?i)(?:token|secret|passw|passphrase|pwd|(?:^|_)pass(?:_|$)|pass$|credential|api_?key|private|auth|cert|_key|key$|dsn)"
)
_SECRET_KEY = re.compile(rf"(?:.*/)?{NAMES}", re.IGNORECASE)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_REFERENCES = frozenset({labels.CREDENTIAL_SECRET})
"""Keys that only name a Secret."""

Removed = Callable[[Rule], None]
RemovedAt = Callable[[Rule, str], None]


def mark(rule: Rule) -> str:
    """What stands where something was removed."""
    return f"[removed: {rule}]"


def redact_text(text: str, removed: Removed) -> str:
    """The text without anything that may be a credential; `removed` hears of each removal."""

    def by(rule: Rule, template: Callable[[re.Match[str]], str] | None = None) -> Callable[[re.Match[str]], str]:
        def replace(found: re.Match[str]) -> str:
            removed(rule)
            return template(found) if template else mark(rule)

        return replace

    lower = text.lower()

    def has(*words: str) -> bool:
        # Most lines hold nothing: to see that is many times faster than to look for each shape.
        return any(word in lower for word in words)

    text = _PEM.sub(by(Rule.PRIVATE_KEY), text)
    text = _PEM_BASE64.sub(by(Rule.PRIVATE_KEY), text)
    if "://" in text and "@" in text:
        text = _URL_USER.sub(by(Rule.URL_USER, lambda _: f"://{mark(Rule.URL_USER)}@"), text)
    if has("gho_", "ghp_", "ghs_", "ghu_", "ghr_", "github_pat_", "v1."):
        text = _GITHUB_TOKEN.sub(by(Rule.GITHUB_TOKEN), text)
    text = _JWT.sub(by(Rule.JSON_WEB_TOKEN), text)
    if has("bearer", "basic", "remoteauth"):
        text = _SCHEME.sub(by(Rule.AUTHORIZATION, lambda found: f"{found['name']} {mark(Rule.AUTHORIZATION)}"), text)
    if has("authorization"):
        text = _HEADER.sub(by(Rule.AUTHORIZATION, lambda found: f"{found['name']}{mark(Rule.AUTHORIZATION)}"), text)
    text = replace_named(text, lambda: _told(removed, Rule.NAMED_VALUE))
    if any(len(word) >= _RUN for word in text.split()):
        text = _LONG_WORD.sub(lambda word: _without_runs(word[0], by(Rule.OPAQUE)), text)
    return text


def _without_runs(word: str, replace: Callable[[re.Match[str]], str]) -> str:
    for run in _RUNS:
        word = run.sub(lambda found: replace(found) if _is_opaque(found[0]) else found[0], word)
    return word


def _told(removed: Removed, rule: Rule) -> str:
    removed(rule)
    return mark(rule)


def _is_opaque(run: str) -> bool:
    """Whether a run is no word, no digest in hexadecimal and no path."""
    has_both = run.lower() != run and run.upper() != run
    return has_both and re.search(r"[0-9+/]", run) is not None and run.count("/") * _PATH_LIKE <= len(run)


@dataclass(slots=True)
class LineRedactor:
    """Redacts one log line after line: a key may stand in several."""

    removed: Removed
    _left_of_key: int = 0

    def redact(self, line: str) -> str:
        """The line without anything that may be a credential."""
        if self._left_of_key:
            self._left_of_key = 0 if _PEM_END.search(line) else self._left_of_key - 1
            self.removed(Rule.PRIVATE_KEY)
            return mark(Rule.PRIVATE_KEY)
        beginnings = list(_PEM_BEGIN.finditer(line))
        if beginnings and not _PEM_END.search(line, beginnings[-1].end()):
            self._left_of_key = _PEM_LINES
        if _PEM_PART.fullmatch(line):
            # The beginning of the log may lie in the middle of a key.
            self.removed(Rule.PRIVATE_KEY)
            return mark(Rule.PRIVATE_KEY)
        return redact_text(line, self.removed)


def redact_object(value: Any, removed: RemovedAt, path: str = "") -> Any:
    """A JSON value without credentials; `removed` hears of each removal and where in the value it was."""
    match value:
        case str():
            return redact_text(value, lambda rule: removed(rule, path))
        case Mapping():
            return _redact_mapping(value, removed, path)
        case list():
            return _redact_list(value, removed, path)
        case _:
            return value


def _redact_mapping(value: Mapping[str, Any], removed: RemovedAt, path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    variable = value.get("name")
    for key, entry in value.items():
        name = redact_text(str(key), lambda rule: removed(rule, f"{path}, a key"))
        where = f"{path}.{name}" if path else name
        rule = _rule_of(key, entry, variable)
        if rule is None:
            result[name] = redact_object(entry, removed, where)
        else:
            removed(rule, where)
            result[name] = mark(rule)
    return result


def _rule_of(key: str, entry: Any, variable: Any) -> Rule | None:
    if isinstance(entry, bool) or not isinstance(entry, str | int | float) or entry == "" or key in _REFERENCES:
        return None
    if key == _LAST_APPLIED:
        return Rule.LAST_APPLIED
    if key == "value" and isinstance(variable, str) and _SECRET_NAME.search(variable):
        return Rule.ENVIRONMENT
    return Rule.NAMED_VALUE if _SECRET_KEY.fullmatch(key) else None


def _redact_list(value: list[Any], removed: RemovedAt, path: str) -> list[Any]:
    result: list[Any] = []
    for index, entry in enumerate(value):
        before = value[index - 1] if index else None
        if isinstance(before, str) and isinstance(entry, str) and _FLAG.fullmatch(before):
            removed(Rule.NAMED_VALUE, f"{path}[{index}]")
            result.append(mark(Rule.NAMED_VALUE))
        else:
            result.append(redact_object(entry, removed, f"{path}[{index}]"))
    return result
