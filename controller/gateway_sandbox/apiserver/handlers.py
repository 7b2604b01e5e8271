"""HTTP requests to calls: verbs, options, content types, and the answer's form.

Source: Kubernetes documentation, "API Concepts" and "Server-Side Apply" for the options; k8s.io/apiserver
pkg/endpoints/handlers for codes.
"""

import json
from collections.abc import Callable
from typing import Any, get_args

from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver import statuses
from gateway_sandbox.apiserver.bodies import read_body, read_object
from gateway_sandbox.apiserver.controlplane import ControlPlane
from gateway_sandbox.apiserver.deletion import DeleteOptions
from gateway_sandbox.apiserver.kinds import Json
from gateway_sandbox.apiserver.patches import json_patch, merge_patch, strategic_merge_patch
from gateway_sandbox.apiserver.podlogs import PodLogs
from gateway_sandbox.apiserver.reads import Reader, Selection
from gateway_sandbox.apiserver.rendering import Renderer, wants_table
from gateway_sandbox.apiserver.reviews import AUTHENTICATION, AUTHORIZATION, REVIEWS, answer
from gateway_sandbox.apiserver.schema import Node
from gateway_sandbox.apiserver.selectors import parse_selectors
from gateway_sandbox.apiserver.store import Record, dump, timestamp
from gateway_sandbox.apiserver.subresources import bound, request_token, scale_of, scaled
from gateway_sandbox.apiserver.targets import Target, parse_target, split_path
from gateway_sandbox.apiserver.tokens import Tokens, User
from gateway_sandbox.apiserver.writes import UnknownFields, WriteOptions

_APPLY_PATCH = "application/apply-patch+yaml"
_STRATEGIC = "application/strategic-merge-patch+json"
_PATCHES: dict[str, Callable[[Node, Json, Any], Any]] = {
    "application/json-patch+json": lambda node, live, patch: json_patch(live, patch),
    "application/merge-patch+json": lambda node, live, patch: merge_patch(live, patch),
    _STRATEGIC: strategic_merge_patch,
}
_WRITABLE = ("", "status", "scale")


class Handlers:
    """Answers requests for resources."""

    def __init__(self, plane: ControlPlane, reader: Reader, tokens: Tokens, logs: PodLogs, clock: Clock) -> None:
        self._plane = plane
        self._reader = reader
        self._tokens = tokens
        self._logs = logs
        self._clock = clock

    async def handle(self, request: web.Request, caller: User) -> web.StreamResponse:
        """The answer; raises ApiError."""
        group, version, rest = split_path(request.path)
        if (group, rest[-1]) in REVIEWS and version == "v1":
            if request.method != "POST":
                raise statuses.method_not_allowed()
            now = timestamp(self._clock.now())
            return _json(answer(group, rest[-1], await read_object(request), caller, self._tokens, now), 201)
        if group in (AUTHENTICATION, AUTHORIZATION):
            raise statuses.left_out(f"{rest[-1]}.{group}")
        target = parse_target(self._plane.registry, request.path)
        has_place = bool(target.namespace) or not target.kind.namespaced
        match request.method:
            case "GET" if target.name and has_place and target.subresource in ("", "status", "scale", "log"):
                return await self._get(request, target)
            case "GET" if not target.name:
                return await self._list_or_watch(request, target)
            case "POST" if not target.name and has_place:
                return await self._create(request, target)
            case "POST" if target.subresource == "binding":
                return await self._bind(request, target)
            case "POST" if target.subresource == "token":
                return _json(request_token(self._found(target), await read_object(request), self._tokens), 201)
            case "PUT" | "PATCH" if target.name and has_place and target.subresource in _WRITABLE:
                return await self._change(request, target)
            case "DELETE" if target.name and has_place and not target.subresource:
                return await self._delete(request, target)
            case "DELETE" if not target.name:
                raise statuses.left_out("the deletion of a whole collection; kubectl delete --all deletes one by one")
        raise statuses.method_not_allowed()

    # -- reads -------------------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        record = self._found(target)
        if target.subresource == "log":
            return await self._logs.stream(request, target.kind, record)
        if target.subresource == "scale" and target.kind.scale:
            return _json(scale_of(record.obj, target.kind.scale))
        return _bytes(self._renderer(request, target).one(record))

    async def _list_or_watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        query, renderer = request.query, self._renderer(request, target)
        predicate = parse_selectors(target.kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        selection = Selection(target.kind.storage, target.namespace, predicate)
        if "sendInitialEvents" in query:
            text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            raise statuses.invalid_request(statuses.forbidden_field("sendInitialEvents", text))
        if query.get("watch") in ("true", "1"):
            return await self._reader.watch(request, renderer, selection)
        records = self._reader.selected(selection, query)
        return _bytes(renderer.many(records, {"resourceVersion": str(self._plane.store.version)}))

    def _found(self, target: Target) -> Record:
        record = self._plane.store.get(target.kind.storage, target.key)
        if record is None:
            raise statuses.not_found(target.kind, target.name)
        return record

    def _renderer(self, request: web.Request, target: Target) -> Renderer:
        as_table = wants_table(request.headers.get("Accept", ""))
        included = request.query.get("includeObject", "")
        return Renderer(target.kind, self._clock, as_table=as_table, include_object=included)

    # -- writes ------------------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _write_options(request, target)
        record = self._plane.writer.create(target.kind, target.namespace, await read_body(request), options)
        return _bytes(self._renderer(request, target).one(record), 201, options.warnings)

    async def _bind(self, request: web.Request, target: Target) -> web.StreamResponse:
        binding = await read_object(request)
        record = self._found(target)
        pod = bound(target.kind, record, binding, self._plane.writer.now())
        if not _is_dry(request.query.get("dryRun")):
            self._plane.store.put(target.kind.storage, target.key, pod)
        return _json(statuses.success(target.kind, target.name, pod["metadata"]["uid"]), 201)

    async def _change(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _write_options(request, target)
        body = await read_body(request)
        if request.content_type == _APPLY_PATCH and target.subresource != "scale":
            return self._apply(request, target, body, options)
        change = _changer(request, target, body)
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
            raise statuses.invalid_request(statuses.required("fieldManager", "is required for apply patch"))
        force = request.query.get("force") in ("true", "1")
        record, is_new = self._plane.writer.apply(target.kind, target.key, body, options, force=force)
        return _bytes(self._renderer(request, target).one(record), 201 if is_new else 200, options.warnings)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _delete_options(request, await read_object(request))
        record, is_gone = self._plane.deleter.delete(target.kind, target.key, self._found(target), options)
        if is_gone:
            return _json(statuses.success(target.kind, target.name, record.obj["metadata"]["uid"]))
        return _bytes(self._renderer(request, target).one(record))


def _changer(request: web.Request, target: Target, body: Any) -> Callable[[Json], Json]:
    """What a PUT or a patch does to the live object (or its Scale)."""
    if request.method == "PUT":
        return lambda live: body
    patches = {name: patch for name, patch in _PATCHES.items() if not (target.kind.is_custom and name == _STRATEGIC)}
    if request.content_type not in patches:
        raise statuses.unsupported_media_type([*patches, _APPLY_PATCH])
    return lambda live: patches[request.content_type](target.kind.node, live, body)


def _write_options(request: web.Request, target: Target) -> WriteOptions:
    query = request.query
    manager = query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0][:128]
    unknown_fields: Any = query.get("fieldValidation") or "Warn"
    allowed = get_args(UnknownFields)
    if unknown_fields not in allowed:
        raise statuses.invalid_request(statuses.not_supported("fieldValidation", unknown_fields, allowed))
    if query.get("force") and request.content_type != _APPLY_PATCH:
        raise statuses.invalid_request(statuses.forbidden_field("force", "may not be specified for non-apply patch"))
    dry_run, is_patch = _is_dry(query.get("dryRun")), request.method == "PATCH"
    return WriteOptions(manager, target.subresource, dry_run, unknown_fields, is_patch)


def _is_dry(value: Any) -> bool:
    values = [value] if isinstance(value, str) else value or []
    if any(one not in ("All", "") for one in values):
        raise statuses.invalid_request(statuses.not_supported("dryRun", values, ["All"]))
    return "All" in values


def _delete_options(request: web.Request, body: Json) -> DeleteOptions:
    options: Json = dict(request.query) | body
    is_orphaning = str(options.get("orphanDependents", "")).lower() == "true"
    policy = options.get("propagationPolicy") or ("Orphan" if is_orphaning else "Background")
    if policy not in ("Background", "Foreground"):
        raise statuses.left_out(f"{policy} propagation of deletions, only Background and Foreground")
    grace = options.get("gracePeriodSeconds")
    if grace is not None and not str(grace).lstrip("-").isdigit():
        raise statuses.bad_request(f"gracePeriodSeconds: Invalid value: {json.dumps(grace)}: must be a number")
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        grace_period_seconds=None if grace is None else int(grace),
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        dry_run=_is_dry(options.get("dryRun")),
        is_foreground=policy == "Foreground",
    )


def _bytes(data: bytes, status: int = 200, warnings: list[str] | None = None) -> web.Response:
    response = web.Response(body=data, status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-cache, private"
    for warning in dict.fromkeys(warnings or ()):
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


def _json(value: Json, status: int = 200) -> web.Response:
    return _bytes(dump(value), status)
