"""Context values as a job message carries them: plain primitives, or objects tagged with their type `t`.

Source: actions/runner `src/Sdk/DTPipelines/Pipelines/ContextData/PipelineContextDataJsonConverter.cs`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .values import Value

STRING, ARRAY, DICTIONARY, BOOLEAN, NUMBER, CASE_SENSITIVE_DICTIONARY = range(6)


def decode_context(value: Any) -> Value:
    """The plain value of a tagged one; raises ValueError for an unknown tag."""
    if not isinstance(value, dict):
        return value
    tag = value.get("t", STRING)
    if tag == STRING:
        return value.get("s", "")
    if tag == ARRAY:
        return [decode_context(item) for item in value.get("a") or []]
    if tag in (DICTIONARY, CASE_SENSITIVE_DICTIONARY):
        return {pair["k"]: decode_context(pair.get("v")) for pair in value.get("d") or []}
    if tag == BOOLEAN:
        return bool(value.get("b", False))
    if tag == NUMBER:
        return value.get("n", 0)
    raise ValueError(f"a context value has the unknown type {tag!r}")


def encode_context(value: Value) -> Any:
    """The tagged form of a plain value."""
    if isinstance(value, dict):
        return {"t": DICTIONARY, "d": [{"k": key, "v": encode_context(item)} for key, item in value.items()]}
    if isinstance(value, list):
        return {"t": ARRAY, "a": [encode_context(item) for item in value]}
    return value
