"""HTTP requests to calls: verbs, options, content types, and the answer's form.

Source: Kubernetes documentation, "API Concepts" and "Server-Side Apply" for the options; k8s.io/apiserver
pkg/endpoints/handlers for codes.
"""

import json
from collections.abc import Callable
from typing import Any

import yaml
from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver import protobuf
from gateway_sandbox.apiserver.controlplane import ControlPlane
from gateway_sandbox.apiserver.deletion import DeleteOptions
from gateway_sandbox.apiserver.kinds import Json
from gateway_sandbox.apiserver.patches import json_patch, merge_patch, strategic_merge_patch
from gateway_sandbox.apiserver.podlogs import PodLogs
from gateway_sandbox.apiserver.reads import Reader
from gateway_sandbox.apiserver.rendering import Renderer, negotiate
from gateway_sandbox.apiserver.reviews import REVIEWS, answer
from gateway_sandbox.apiserver.selectors import Predicate, parse_selectors
from gateway_sandbox.apiserver.statuses import (
    ApiError,
    Cause,
    Name,
    bad_request,
    forbidden_field,
    invalid,
    method_not_allowed,
    not_found,
    not_supported,
    required,
    success,
    unsupported_media_type,
)
from gateway_sandbox.apiserver.store import Record, dump
from gateway_sandbox.apiserver.subresources import PodActions, request_token, scale_of, scaled
from gateway_sandbox.apiserver.targets import Target, parse_target, split_path
from gateway_sandbox.apiserver.tokens import Tokens, User
from gateway_sandbox.apiserver.writes import WriteOptions

_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_WRITABLE = ("", "status", "scale", "finalize")
_POLICIES = ("Foreground", "Background", "Orphan")
_RETURNED_WHEN_DELETED = frozenset({"Pod", "Service", "ServiceAccount", "ResourceQuota"})
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Handlers:
    """Answers requests for resources."""

    def __init__(self, plane: ControlPlane, reader: Reader, tokens: Tokens, logs: PodLogs, clock: Clock) -> None:
        self._plane = plane
        self._reader = reader
        self._tokens = tokens
        self._logs = logs
        self._clock = clock
        self._actions = PodActions(plane.store, plane.writer, plane.deleter)

    async def handle(self, request: web.Request, caller: User) -> web.StreamResponse:
        """The answer; raises ApiError."""
        group, version, rest = split_path(request.path)
        if (group, rest[-1]) in REVIEWS and version == "v1":
            if request.method != "POST":
                raise method_not_allowed()
            return _json(answer(group, rest[-1], await _object(request), caller, self._tokens), 201)
        target = parse_target(self._plane.registry, request.path)
        has_place = bool(target.namespace) or not target.kind.namespaced
        match request.method:
            case "GET" if target.name and has_place and target.subresource in ("", "status", "scale", "log"):
                return await self._get(request, target)
            case "GET" if not target.name:
                return await self._list_or_watch(request, target)
            case "POST" if not target.name and has_place:
                return await self._create(request, target)
            case "POST" if target.subresource in ("binding", "eviction", "token"):
                return await self._act(request, target)
            case "PUT" | "PATCH" if target.name and has_place and target.subresource in _WRITABLE:
                return await self._change(request, target)
            case "DELETE" if has_place and not target.subresource:
                return await (self._delete if target.name else self._delete_collection)(request, target)
        raise method_not_allowed()

    # -- reads -------------------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        record = self._found(target)
        if target.subresource == "log":
            return await self._logs.stream(request, target.kind, record)
        if target.subresource == "scale" and target.kind.scale:
            return _json(scale_of(record.obj, target.kind.scale))
        return _bytes(self._renderer(request, target).one(record))

    async def _list_or_watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        renderer, predicate = self._renderer(request, target), _predicate(request, target)
        if "sendInitialEvents" in request.query:
            text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise _invalid_options("ListOptions", forbidden_field("sendInitialEvents", text))
        if request.query.get("watch") in ("true", "1"):
            return await self._reader.watch(request, renderer, target.kind, target.namespace, predicate)
        records, metadata = self._reader.page(target.kind, target.namespace, predicate, request.query)
        return _bytes(renderer.many(records, metadata))

    def _found(self, target: Target) -> Record:
        record = self._plane.store.get(target.kind.storage, target.key)
        if record is None:
            raise not_found(target.kind, target.name)
        return record

    def _renderer(self, request: web.Request, target: Target) -> Renderer:
        form = negotiate(request.headers.get("Accept", ""))
        return Renderer(target.kind, form, self._clock, request.query.get("includeObject", ""))

    # -- writes ------------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _write_options(request, target)
        record = self._plane.writer.create(target.kind, target.namespace, await _body(request), options)
        return _bytes(self._renderer(request, target).one(record), 201, options.warnings)

    async def _act(self, request: web.Request, target: Target) -> web.StreamResponse:
        body, options = await _object(request), _write_options(request, target)
        match target.subresource:
            case "binding":
                return _json(self._actions.bind(target.kind, target.key, body, options), 201)
            case "eviction":
                return _json(self._actions.evict(target.kind, target.key, body, options), 201)
        return _json(request_token(self._found(target), body, self._tokens), 201)

    async def _change(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _write_options(request, target)
        body = await _body(request)
        if request.method == "PUT":
            change = _put(body)
        elif request.content_type == _APPLY_PATCH and target.subresource != "scale":
            return self._apply(request, target, body, options)
        else:
            change = _patch(target, request.content_type, body)
        paths = target.kind.scale
        if target.subresource == "scale" and paths is not None:
            record = self._plane.writer.update(
                target.kind, target.key, options, lambda live: scaled(live, paths, change(scale_of(live, paths)))
            )
            return _json(scale_of(record.obj, paths))
        record = self._plane.writer.update(target.kind, target.key, options, change)
        return _bytes(self._renderer(request, target).one(record), 200, options.warnings)

    def _apply(self, request: web.Request, target: Target, body: Json, options: WriteOptions) -> web.Response:
        if not request.query.get("fieldManager"):
            raise _invalid_options("PatchOptions", required("fieldManager", "is required for apply patch"))
        force = request.query.get("force") in ("true", "1")
        record, is_new = self._plane.writer.apply(target.kind, target.key, body, options, force=force)
        return _bytes(self._renderer(request, target).one(record), 201 if is_new else 200, options.warnings)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _delete_options(request, await _object(request))
        record, is_gone = self._plane.deleter.delete(target.kind, target.key, self._found(target), options)
        if is_gone and target.kind.kind not in _RETURNED_WHEN_DELETED:
            return _json(success(target.kind, target.name, record.obj["metadata"]["uid"]))
        return _bytes(self._renderer(request, target).one(record))

    async def _delete_collection(self, request: web.Request, target: Target) -> web.StreamResponse:
        options, predicate = _delete_options(request, await _object(request)), _predicate(request, target)
        selected = list(self._reader.selected(target.kind, target.namespace, predicate))
        gone = [self._plane.deleter.delete(target.kind, key, record, options)[0] for key, record in selected]
        metadata = {"resourceVersion": str(self._plane.store.version)}
        return _bytes(self._renderer(request, target).many(gone, metadata))


def _put(body: Json) -> Callable[[Json], Json]:
    return lambda live: body


def _patch(target: Target, content_type: str, patch: Any) -> Callable[[Json], Json]:
    """What a patch does to the live object (or its Scale)."""
    match content_type:
        case "application/json-patch+json":
            return lambda live: json_patch(live, patch)
        case "application/merge-patch+json":
            return lambda live: merge_patch(live, patch)
        case "application/strategic-merge-patch+json" if not target.kind.is_custom:
            if not isinstance(patch, dict):
                raise bad_request("a strategic merge patch is an object")
            return lambda live: strategic_merge_patch(target.kind.node, live, patch)
    accepted = [_JSON_PATCH, _MERGE_PATCH, *([] if target.kind.is_custom else [_STRATEGIC_PATCH]), _APPLY_PATCH]
    raise unsupported_media_type(accepted)


def _predicate(request: web.Request, target: Target) -> Predicate | None:
    query = request.query
    return parse_selectors(target.kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _write_options(request: web.Request, target: Target) -> WriteOptions:
    query = request.query
    manager = query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0][:128]
    unknown_fields: Any = query.get("fieldValidation") or "Warn"
    if unknown_fields not in ("Ignore", "Warn", "Strict"):
        raise bad_request(f"fieldValidation: Unsupported value: {json.dumps(unknown_fields)}")
    if query.get("force") and request.content_type != _APPLY_PATCH:
        raise _invalid_options("PatchOptions", forbidden_field("force", "may not be specified for non-apply patch"))
    return WriteOptions(
        manager=manager,
        subresource=target.subresource,
        dry_run=_is_dry(query.get("dryRun")),
        unknown_fields=unknown_fields,
        is_patch=request.method == "PATCH",
    )


def _is_dry(value: Any) -> bool:
    values = [value] if isinstance(value, str) else value or []
    if any(one not in ("All", "") for one in values):
        raise _invalid_options("PatchOptions", not_supported("dryRun", values, ["All"]))
    return "All" in values


def _delete_options(request: web.Request, body: Json) -> DeleteOptions:
    query, preconditions = request.query, body.get("preconditions") or {}
    orphan = body.get("orphanDependents", {"true": True, "false": False}.get(query.get("orphanDependents", "")))
    policy = body.get("propagationPolicy") or query.get("propagationPolicy")
    if policy is None and orphan is not None:
        policy = "Orphan" if orphan else "Background"
    if policy not in (None, *_POLICIES):
        raise _invalid_options("DeleteOptions", not_supported("propagationPolicy", policy, _POLICIES))
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    if grace is not None and not str(grace).lstrip("-").isdigit():
        raise bad_request(f"gracePeriodSeconds: Invalid value: {json.dumps(grace)}: must be a number")
    return DeleteOptions(
        grace_period_seconds=None if grace is None else int(grace),
        propagation=policy,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        dry_run=_is_dry(body.get("dryRun") or query.get("dryRun")),
    )


def _invalid_options(kind: str, cause: Cause) -> ApiError:
    return invalid(Name(kind, "meta.k8s.io"), "", [cause])


async def _object(request: web.Request) -> Json:
    body = await _body(request)
    if not isinstance(body, dict):
        raise bad_request("the body of the request is no object")
    return body


async def _body(request: web.Request) -> Any:
    """The decoded body; `{}` when there is none. JSON is tried first, since our clients apply JSON as YAML."""
    data = await request.read()
    if not data:
        return {}
    if request.content_type == protobuf.MEDIA_TYPE:
        try:
            return protobuf.decode_envelope(data)
        except protobuf.UndecodableProtobuf as problem:
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


def _bytes(data: bytes, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    response = web.Response(body=data, status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-cache, private"
    for warning in dict.fromkeys(warnings or ()):
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


def _json(value: Json, status: int = 200) -> web.Response:
    return _bytes(dump(value), status)
