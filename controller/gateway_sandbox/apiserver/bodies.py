"""Request bodies: JSON, YAML, and the protobuf of kubectl's generators.

Source: Kubernetes documentation, "API Concepts" (Alternate representations of resources).
"""

import json
from typing import Any

import yaml
from aiohttp import web

from gateway_sandbox.apiserver import protobuf
from gateway_sandbox.apiserver.statuses import ApiError, bad_request, unsupported_media_type

_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


async def read_object(request: web.Request) -> dict[str, Any]:
    """A body that has to be an object; raises ApiError 400 or 415."""
    body = await read_body(request)
    if not isinstance(body, dict):
        raise bad_request("the body of the request is no object")
    return body


async def read_body(request: web.Request) -> Any:
    """The decoded body, `{}` when there is none; raises ApiError 400 or 415.

    JSON is tried first, since our clients apply JSON as YAML and reading it as YAML is slow.
    """
    data = await request.read()
    if not data:
        return {}
    if request.content_type == protobuf.MEDIA_TYPE:
        try:
            return protobuf.decode_envelope(data)
        except ValueError as problem:
            text = f"{problem}; kubectl apply -f FILE sends it that way"
            raise ApiError(415, "UnsupportedMediaType", text) from problem
    try:
        return json.loads(data)
    except ValueError as problem:
        if "yaml" not in request.content_type:
            if "json" not in request.content_type:
                raise unsupported_media_type(["application/json", "application/yaml"]) from problem
            raise bad_request(f"couldn't get version/kind; json parse error: {problem}") from problem
    try:
        return yaml.load(data, Loader=_YAML_LOADER)  # noqa: S506 (the loader is a safe one)
    except yaml.YAMLError as problem:
        raise bad_request(f"error decoding YAML: {problem}") from problem
