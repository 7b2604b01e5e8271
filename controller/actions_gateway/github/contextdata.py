"""The runner's encoding of context values: plain JSON, or objects tagged with `t`.

Source: actions/runner `src/Sdk/DTPipelines/Pipelines/ContextData/PipelineContextDataJsonConverter.cs`.
"""

from typing import Any

from actions_gateway.github.decoding import Fields

_STRING, _ARRAY, _DICTIONARY, _BOOLEAN, _NUMBER, _CASE_SENSITIVE_DICTIONARY = range(6)

ContextValue = Any
"""None, str, int, float, bool, or a list or dict of such values."""


def decode_context(value: Any) -> ContextValue:
    """The value without tags; what has no known tag becomes None."""
    if not isinstance(value, dict):
        return [decode_context(item) for item in value] if isinstance(value, list) else value
    fields = Fields(value)
    match fields.number("t") if fields.raw("t") is not None else _STRING:
        case 0:
            return fields.text("s")
        case 1:
            return [decode_context(item) for item in fields.items("a")]
        case 2 | 5:
            return {entry.text("k"): decode_context(entry.raw("v")) for entry in fields.objects("d")}
        case 3:
            return fields.flag("b")
        case 4:
            return fields.raw("n")
        case _:
            return None
