"""The functions of workflow expressions that depend on nothing but their arguments.

Semantics: GitHub Docs "Evaluate expressions in workflows and actions", section Functions; actions/runner
`src/Sdk/DTExpressions2/Expressions2/Sdk/Functions/`.
"""

from __future__ import annotations

import json
import re

from .values import is_primitive, loosely_equal, to_json, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .values import Value

FORMAT_PART = re.compile(r"\{\{|\}\}|\{(\d+)\}|[{}]")


class FunctionError(ValueError):
    """A function cannot work on these arguments."""


def contains(search: Value, item: Value) -> bool:
    """Whether a list holds an equal item, or a text a part of itself; case is ignored."""
    if isinstance(search, list):
        return any(loosely_equal(element, item) for element in search)
    if not is_primitive(search) or not is_primitive(item):
        return False
    return to_text(item).casefold() in to_text(search).casefold()


def starts_with(text: Value, prefix: Value) -> bool:
    return _both_texts(text, prefix) and to_text(text).casefold().startswith(to_text(prefix).casefold())


def ends_with(text: Value, suffix: Value) -> bool:
    return _both_texts(text, suffix) and to_text(text).casefold().endswith(to_text(suffix).casefold())


def _both_texts(left: Value, right: Value) -> bool:
    return is_primitive(left) and is_primitive(right)


def format_text(template: Value, *arguments: Value) -> str:
    """`{0}` becomes the first argument, `{{` a brace; raises FunctionError for a place without argument."""
    text = to_text(template)

    def part(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] is None:
            raise FunctionError(f"The following format string is invalid: {text}")
        if int(match[1]) >= len(arguments):
            raise FunctionError(f"The following format string references more arguments than were supplied: {text}")
        return to_text(arguments[int(match[1])])

    return FORMAT_PART.sub(part, text)


def join(items: Value, separator: Value = ",") -> str:
    if isinstance(items, list):
        return to_text(separator).join(to_text(item) for item in items)
    return to_text(items)


def from_json(text: Value) -> Value:
    try:
        return json.loads(to_text(text))
    except ValueError as exc:
        raise FunctionError(f"Error reading JSON given to fromJSON: {exc}") from exc


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Value]]] = {
    "contains": (2, 2, contains),
    "startswith": (2, 2, starts_with),
    "endswith": (2, 2, ends_with),
    "format": (1, 255, format_text),
    "join": (1, 2, join),
    "tojson": (1, 1, to_json),
    "fromjson": (1, 1, from_json),
}
"""Name in lower case: fewest and most arguments, implementation."""

STATUS_FUNCTIONS = ("success", "failure", "always", "cancelled")
"""Their answers come from whoever evaluates: a job knows its needs, a step its job."""

REFUSED_FUNCTIONS = {
    "hashfiles": "hashFiles() is not supported by the sandbox: write the value of the hash, or drop the cache"
}
"""Known to GitHub, not to the sandbox: refused by name."""
