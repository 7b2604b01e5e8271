"""Whether two PromQL expressions are the same, however they are written.

Prometheus writes an expression that it has loaded anew: matchers in order of their labels, `24h` as `1d`, spaces its
own way. So tokens are compared, each by what it means. It is never said of two different expressions that they are the
same; an expression that means the same with other words, such as a pair of needless brackets, is another one.

Source: Prometheus documentation, "Querying basics" (literals, durations, matchers, comments).
"""

import re
from collections.abc import Iterator

from gw_alerts.durations import parse_milliseconds

Token = tuple[str, str | float]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
    | (?P<text>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
    | `(?P<raw>[^`]*)`
    | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+)\b
    | (?P<number>0[xX][0-9a-fA-F]+ | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
    | (?P<word>[a-zA-Z_][\w:]*)
    | (?P<sign>=~|!~|!=|==|>=|<=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def is_same_expression(one: str, other: str) -> bool:
    """Whether both are the same tokens, in the same order but for the matchers of a selector."""
    return _ordered(list(_tokens(one))) == _ordered(list(_tokens(other)))


def duration_seconds(text: str) -> float:
    """Of a duration as Prometheus writes them, such as `1h30m`; raises ValueError for anything else."""
    return 0.0 if text == "0" else parse_milliseconds(text) / 1000


def _tokens(expression: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(expression):
        kind, text = str(found.lastgroup), found[0]
        match kind:
            case "space":
                continue
            case "text":
                yield "text", _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), text[1:-1])
            case "raw":
                yield "text", found["raw"]
            case "duration":
                yield "duration", duration_seconds(text)
            case "number":
                yield "number", float(int(text, 16)) if text[:2] in ("0x", "0X") else float(text)
            case _:
                yield kind, text


def _ordered(tokens: list[Token]) -> list[object]:
    """With the matchers of each selector sorted."""
    ordered: list[object] = []
    rest = iter(tokens)
    for token in rest:
        if token != ("sign", "{"):
            ordered.append(token)
            continue
        matchers: list[list[Token]] = [[]]
        for inner in rest:
            if inner == ("sign", "}"):
                break
            if inner == ("sign", ","):
                matchers.append([])
            else:
                matchers[-1].append(inner)
        ordered.append(sorted((each for each in matchers if each), key=repr))
    return ordered
