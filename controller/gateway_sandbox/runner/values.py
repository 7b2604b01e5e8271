"""Values of workflow expressions and their coercions.

A value is None, bool, int or float, str, list or dict. Rules: GitHub Docs "Evaluate expressions in workflows and
actions", actions/runner `src/Sdk/DTExpressions2/Expressions2/EvaluationResult.cs` and `Sdk/ExpressionUtility.cs`.
"""

from __future__ import annotations

import json
import math
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Value: TypeAlias = Any
    """What JSON can hold."""
else:
    Value = object

DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_primitive(value: Value) -> bool:
    return not isinstance(value, (list, dict))


def is_truthy(value: Value) -> bool:
    """False for null, false, 0, NaN and the empty string; lists and dictionaries are true."""
    if isinstance(value, (list, dict)):
        return True
    return bool(value) and value == value  # NaN differs from itself


def to_text(value: Value) -> str:
    """The text of a value where a string is needed; a collection gives its kind."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if is_number(value):
        return _number_text(value)
    return "Array" if isinstance(value, list) else "Object"


def _number_text(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15G}"


def to_number(value: Value) -> float:
    """The number of a value; NaN for what has none."""
    if value is None:
        return 0
    if isinstance(value, str):
        return _parse_number(value.strip())
    if isinstance(value, (bool, int, float)):
        return float(value)
    return math.nan


def _parse_number(text: str) -> float:
    if not text:
        return 0
    if DECIMAL.fullmatch(text):
        return float(text)
    if text in ("Infinity", "-Infinity"):
        return float(text)
    try:
        return int(text, 0) if text[:2] in ("0x", "0o") and text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def loosely_equal(left: Value, right: Value) -> bool:
    """GitHub's `==`: primitives of different kinds as numbers, strings without case, collections by identity."""
    if not is_primitive(left) or not is_primitive(right):
        return left is right
    left, right = _same_kind(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    return bool(left == right)


def less_than(left: Value, right: Value) -> bool:
    """GitHub's `<`; False when either side is no primitive or no number."""
    if not is_primitive(left) or not is_primitive(right):
        return False
    left, right = _same_kind(left, right)
    if left is None:
        return False
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() < right.casefold()
    return bool(left < right)


def _same_kind(left: Value, right: Value) -> tuple[Value, Value]:
    if type(left) is type(right) or (is_number(left) and is_number(right)):
        return left, right
    return to_number(left), to_number(right)


def member(container: Value, key: Value) -> Value:
    """`container[key]`; None when there is no such member. Names of a dictionary are found without regard to case."""
    if isinstance(container, dict):
        name = to_text(key)
        if name in container:
            return container[name]
        folded = name.casefold()
        return next((value for known, value in container.items() if known.casefold() == folded), None)
    if isinstance(container, list):
        index = to_number(key)
        if math.isfinite(index) and 0 <= index < len(container):
            return container[int(index)]
    return None


def to_json(value: Value) -> str:
    """The value as JSON, indented by two, as `toJSON` prints it."""
    return json.dumps(_json_value(value), indent=2, ensure_ascii=False)


def _json_value(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value
