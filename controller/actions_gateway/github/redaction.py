"""The one function that a text from outside passes before it can become part of an error or a log line.

It takes out what looks like a credential, by name (JSON keys, form fields, header schemes) and by shape (GitHub tokens,
JSON web tokens, PEM keys, long base64 runs), makes the rest one printable line and cuts it.
Shapes: GitHub docs "About authentication to GitHub" (token prefixes), RFC 7519 (JWT), RFC 7468 (PEM).
"""

import re

REPLACEMENT = "[redacted]"
_SCAN_LIMIT = 8192
"""Enough for every error body of GitHub; more is never searched and never kept."""

_NAMES = (
    r"(?:access|refresh|registration|remove|runner|job|github|system)?[_-]?token|encoded_?jit_?config|"
    r"client_?(?:secret|assertion)|private_?key|password|secret|authorization|signature"
)
_JSON_VALUE = re.compile(
    rf"""(?ix)
    (?P<quote> \\{{0,7}}["'])  (?P<name> {_NAMES})  (?P=quote)  \s* : \s*
    (?: \\{{1,7}}" (?: (?! \\{{1,7}}" ) . )* (?: \\{{1,7}}" | \Z )
      | "  (?: [^"\\] | \\. )* (?: " | \\? \Z )
      | '  (?: [^'\\] | \\. )* (?: ' | \\? \Z )
    )""",
    re.DOTALL,
)
_FORM_VALUE = re.compile(rf"(?i)\b(?P<name>{_NAMES})=[^&\s\"']+")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.DOTALL)
_SCHEME = re.compile(r"(?i)\b(?P<name>bearer|basic|remoteauth)\s+[A-Za-z0-9._~+/=-]{8,}")
_GITHUB_TOKEN = re.compile(r"\b(?:gh[a-z]_|github_pat_)[A-Za-z0-9_.\-]{8,}|\bv1\.[0-9a-f]{40}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,2}")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_]{40,}={0,2}")
_URL_SAFE_RUN = re.compile(r"(?<![A-Za-z0-9_-])(?=[a-z0-9_-]*[A-Z])[A-Za-z0-9_-]{40,}")
"""With a capital letter, since runner names are as long and hold hyphens, too."""
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_CUT_WORD = re.compile(r"[A-Za-z0-9+/_.=-]+\Z")


def redact(text: str, limit: int = 512) -> str:
    """`text` as one line of at most `limit` characters without anything that may be a credential."""
    if len(text) > _SCAN_LIMIT:
        # A credential that the cut halves would no longer have the shape by which it is known.
        text = _CUT_WORD.sub("", text[:_SCAN_LIMIT])
    text = _PEM.sub(REPLACEMENT, text)
    text = _JSON_VALUE.sub(rf'\g<quote>\g<name>\g<quote>:"{REPLACEMENT}"', text)
    text = _FORM_VALUE.sub(rf"\g<name>={REPLACEMENT}", text)
    text = _SCHEME.sub(rf"\g<name> {REPLACEMENT}", text)
    for shape in (_GITHUB_TOKEN, _JWT, _URL_SAFE_RUN, _BASE64_RUN):
        text = shape.sub(REPLACEMENT, text)
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
