"""What a job asks for that these runners do not do: `container:` and `services:`.

Both come as template tokens, which the worker evaluates: plain JSON, or objects tagged with `type` (actions/runner
`src/Sdk/DTObjectTemplating/ObjectTemplating/Tokens/TemplateTokenJsonConverter.cs`, `TokenType.cs`). An image that turns
out empty means none (`src/Sdk/DTPipelines/Pipelines/ObjectTemplating/PipelineTemplateConverter.cs`), as in matrices of
which only some jobs have a container.
"""

import re
from typing import Any

from actions_gateway.github.contextdata import decode_context
from actions_gateway.github.decoding import Fields

_CONTEXTS = ("github", "inputs", "matrix", "needs", "strategy", "vars")
"""What `container:` and `services:` may use (GitHub Docs, "Context availability"); null in a payload when empty."""
_LOOKUP = re.compile(r"\s*([A-Za-z_][\w-]*)((?:\.[A-Za-z_][\w-]*|\['[^']*'\])*)\s*")
_MEMBER = re.compile(r"\.([\w-]+)|\['([^']*)'\]")

_UNKNOWN = object()
"""A value that only the worker can tell; it counts as one."""


def unsupported_of(payload: Fields) -> str:
    """For the job's author: what is not supported, and what to do instead; empty when there is nothing."""
    contexts = payload.fields("contextData")
    asked = ["`container:`"] if _has_image(payload.raw("jobContainer"), contexts) else []
    asked += ["`services:`"] if _has_services(payload.raw("jobServiceContainers"), contexts) else []
    if not asked:
        return ""
    return (
        f"This job asks for {' and '.join(asked)}, which these runners do not support. None of its steps was run in "
        "their place. Run the steps on the runner itself: put tools into the runner group's image and services beside "
        "it, as containers of its podTemplate. Or choose runners that have Docker with `runs-on`."
    )


def _has_services(token: object, contexts: Fields) -> bool:
    services = _value(token, contexts)
    if isinstance(services, dict):
        return any(_has_image(service, contexts) for service in services.values())
    return bool(services)


def _has_image(token: object, contexts: Fields) -> bool:
    container = _value(token, contexts)
    if isinstance(container, dict):
        image = next(
            (item for name, item in container.items() if isinstance(name, str) and name.lower() == "image"), None
        )
        return _UNKNOWN in container or bool(_value(image, contexts))
    return bool(container)


def _value(token: object, contexts: Fields) -> Any:
    """What a token stands for; the members of a mapping are tokens again."""
    if not isinstance(token, dict):
        return token
    fields = Fields(token)
    if fields.raw("type") is None:
        return token if fields.raw("lit") is None else fields.text("lit")
    match fields.number("type"):
        case 0:
            return fields.text("lit")
        case 2:
            return {_key(pair.raw("Key"), contexts): pair.raw("Value") for pair in fields.objects("map")}
        case 3:
            return _looked_up(fields.text("expr"), contexts)
        case 7:
            return None
        case _:
            return _UNKNOWN


def _key(token: object, contexts: Fields) -> object:
    value = _value(token, contexts)
    return value if isinstance(value, str) else _UNKNOWN


def _looked_up(expression: str, contexts: Fields) -> Any:
    """The value of `context.member['member']…`, None when it has no such member."""
    match = _LOOKUP.fullmatch(expression)
    if match is None or match[1].lower() not in _CONTEXTS:
        return _UNKNOWN
    try:
        value = decode_context(contexts.raw(match[1]))
    except RecursionError:
        return _UNKNOWN
    for plain, quoted in _MEMBER.findall(match[2]):
        value = Fields(value).raw(plain or quoted) if isinstance(value, dict) else None
    return value
