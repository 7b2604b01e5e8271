"""The part of a Kubernetes API server that the agent uses, as a value in memory: one synchronous call, one answer.

Sources: Kubernetes API concepts (resource versions, watches, bookmarks, 410, preconditions), API conventions
(generation, status subresource), `pkg/registry/core/pod/strategy.go` (whose deletion waits for a kubelet),
`plugin/pkg/admission/resourcequota` for a refusal's wording, RFC 7386 for merge patches; all of it is what
tests/component proves of the embedded and the real server, too. Stored objects are never changed in place, so they are
handed out without a copy.
"""

import asyncio
import json
import random
import re
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from actions_gateway.api.quantities import parse_quantity
from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.patches import merge_patch
from gateway_sandbox.apiserver.quota import usage_of

Json = dict[str, Any]
Key = tuple[str, str]
"""Plural and name; a simulation has one namespace."""

_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/[^/]+/namespaces/(?P<ns>[^/]+)/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>\w+))?"
)
_KEPT_EVENTS = 400
_WITH_GENERATION = ("runnergroups", "actionsgateways")
_GARBAGE_SECONDS = 1.0


class Refusal(Exception):
    """The API server says no: the `Status` that it answers."""

    def __init__(self, code: int, reason: str, message: str, *, cause: str = "") -> None:
        super().__init__(message)
        self.code = code
        details = {"details": {"causes": [{"reason": cause}]}} if cause else {}
        self.status: Json = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
        self.status |= details


@dataclass(frozen=True, slots=True)
class Event:
    """One change that watches tell."""

    version: int
    type: str
    plural: str
    object: Json
    before: Json | None


Listener = Callable[[Event], None]


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, clock: Clock, rng: random.Random, namespace: str) -> None:
        self._clock = clock
        self._rng = rng
        self.namespace = namespace
        self.is_terminating = False
        self.objects: dict[Key, Json] = {}
        self.agent_pods: dict[str, Json] = {}
        """The agents' own pods by name, which can be looked up and are no workers."""
        self._version = 1000
        self._history: list[Event] = []
        self._oldest_watchable = 0
        self.changed = asyncio.Event()
        self.listeners: list[Listener] = []

    # -- what tests and players do -------------------------------------------------------------------------------

    def all(self, plural: str) -> list[Json]:
        """Every object of a kind, oldest first."""
        return [found for (kind, _), found in self.objects.items() if kind == plural]

    def get(self, plural: str, name: str, uid: str | None = None) -> Json | None:
        """One object, unless it is gone or has another uid."""
        found = self.objects.get((plural, name))
        return found if found is not None and uid in (None, found["metadata"]["uid"]) else None

    def change(self, plural: str, name: str, patch: Json, *, uid: str | None = None) -> Json | None:
        """Merges a patch into all of an object, status included; None when it is gone."""
        found = self.get(plural, name, uid)
        return None if found is None else self._store(plural, merge_patch(found, patch), found)

    def remove(self, plural: str, name: str, uid: str | None = None) -> None:
        """Takes an object away without asking anybody: what a kubelet does at the end, or a forced deletion."""
        if (found := self.get(plural, name, uid)) is not None:
            self._commit("DELETED", plural, found, found)

    def expire_history(self) -> None:
        """Compaction: watches that begin in the past are answered with 410."""
        self._oldest_watchable = self._version
        self._history.clear()

    # -- what clients ask ----------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, body: Any, query: dict[str, str], content_type: str) -> Json:
        """The answer to a request; raises Refusal."""
        found = _PATH.fullmatch(path)
        if found is None or found["ns"] != self.namespace:
            raise Refusal(404, "NotFound", f"the simulation serves no {path}")
        plural, name, sub = found["plural"], found["name"], found["sub"]
        body, is_dry = json.loads(json.dumps(body)), "dryRun" in query
        match method:
            case "GET" if plural == "pods" and name in self.agent_pods:
                return self.agent_pods[name]
            case "GET" if name:
                return self._existing(plural, name)
            case "GET":
                items = [one for one in self.all(plural) if selects(query.get("labelSelector", ""), one)]
                return {"items": items, "metadata": {"resourceVersion": str(self._version)}}
            case "POST":
                return self._create(plural, body, is_dry=is_dry)
            case "PATCH" if "apply-patch" in content_type and (plural, name) not in self.objects:
                return self._create(plural, body, is_dry=is_dry)
            case "PATCH":
                return self._patch(plural, name, body, sub, is_dry=is_dry)
            case "PUT":
                existing = self._existing(plural, name)
                self._check(body, existing)
                return self._store(plural, self._part(existing, body, sub), existing)
            case "DELETE":
                return self._delete(plural, name, body or {})
            case _:
                raise Refusal(405, "MethodNotAllowed", method)

    def events_after(self, version: int, plural: str, selector: str) -> Iterator[Event]:
        """What a watch tells next; raises Refusal 410 when it begins too far in the past."""
        if version < self._oldest_watchable:
            raise Refusal(410, "Expired", f"too old resource version: {version} ({self._oldest_watchable})")
        for event in self._history[bisect_right(self._history, version, key=lambda event: event.version) :]:
            if event.plural == plural and selects(selector, event.object):
                yield event

    @property
    def version(self) -> int:
        """The newest resource version."""
        return self._version

    def _existing(self, plural: str, name: str) -> Json:
        if (found := self.get(plural, name)) is None:
            raise Refusal(404, "NotFound", f'{plural} "{name}" not found')
        return found

    def _create(self, plural: str, body: Json, *, is_dry: bool = False) -> Json:
        metadata = body.setdefault("metadata", {})
        name = metadata.get("name") or f"{metadata['generateName']}{self._rng.getrandbits(25):05x}"
        if self.is_terminating:
            text = f"unable to create new content in namespace {self.namespace} because it is being terminated"
            raise Refusal(403, "Forbidden", text, cause="NamespaceTerminating")
        if (plural, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists')
        if plural == "pods":
            body |= {"status": {"phase": "Pending"}}
            self._admit(name, body)
        stamp = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        uid = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        made = {"name": name, "namespace": self.namespace, "uid": uid, "creationTimestamp": stamp}
        if plural in _WITH_GENERATION:
            made["generation"] = 1
        body["metadata"] = {**metadata, **made}
        return body if is_dry else self._store(plural, body, None)

    def _patch(self, plural: str, name: str, patch: Json, sub: str | None, *, is_dry: bool) -> Json:
        existing = self._existing(plural, name)
        self._check(patch, existing)
        changed = self._part(existing, merge_patch(existing, patch), sub)
        return changed if is_dry else self._store(plural, changed, existing)

    @staticmethod
    def _part(existing: Json, changed: Json, sub: str | None) -> Json:
        """The status subresource changes nothing else, and nothing else changes the status."""
        if sub == "status":
            return {**existing, "status": changed.get("status")}
        return {**changed, "metadata": {**changed["metadata"]}} | (
            {"status": existing["status"]} if "status" in existing else {}
        )

    @staticmethod
    def _check(body: Json, existing: Json) -> None:
        sent, have = body.get("metadata") or {}, existing["metadata"]
        for field, is_stale in (
            ("uid", sent.get("uid", have["uid"]) != have["uid"]),
            ("resourceVersion", sent.get("resourceVersion", have["resourceVersion"]) != have["resourceVersion"]),
        ):
            if is_stale:
                text = f"the {field} in the request is {sent[field]}, that of the object {have[field]}"
                raise Refusal(409, "Conflict", text)

    def _delete(self, plural: str, name: str, options: Json) -> Json:
        existing = self._existing(plural, name)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid not in (None, existing["metadata"]["uid"]):
            raise Refusal(409, "Conflict", f"the UID in the precondition ({uid}) does not match")
        self.delete(plural, existing, options.get("gracePeriodSeconds"))
        return {"kind": "Status", "status": "Success"}

    def delete(self, plural: str, existing: Json, grace_seconds: int | None = None) -> None:
        """Deletes as a client does: a scheduled pod that has not ended waits for its kubelet."""
        metadata = existing["metadata"]
        is_waiting = plural == "pods" and existing["spec"].get("nodeName")
        is_waiting = is_waiting and (existing.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        grace = existing["spec"].get("terminationGracePeriodSeconds", 30) if plural == "pods" else 0
        grace = grace if grace_seconds is None else grace_seconds
        if not is_waiting or not grace:
            self.remove(plural, metadata["name"])
        elif "deletionTimestamp" not in metadata:
            stamp = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            mark = {"metadata": {"deletionTimestamp": stamp, "deletionGracePeriodSeconds": grace}}
            self.change(plural, metadata["name"], mark)

    # -- quota ---------------------------------------------------------------------------------------------------

    def _admit(self, name: str, pod: Json) -> None:
        wanted = _pod_usage(pod)
        for quota in self.all("resourcequotas"):
            hard = {key: parse_quantity(amount) for key, amount in quota["spec"]["hard"].items()}
            used = self._used()
            over = sorted(
                key
                for key in hard
                if used.get(key, Fraction(0)) + wanted.get(key, Fraction(0)) > hard[key] and wanted.get(key)
            )
            if over:
                shown = [",".join(f"{key}={amounts.get(key, 0)}" for key in over) for amounts in (wanted, used, hard)]
                text = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(
                    quota["metadata"]["name"], *shown
                )
                raise Refusal(403, "Forbidden", f'pods "{name}" is forbidden: {text}')

    def _used(self) -> dict[str, Fraction]:
        total: dict[str, Fraction] = {}
        for pod in self.all("pods"):
            for key, amount in _pod_usage(pod).items():
                total[key] = total.get(key, Fraction(0)) + amount
        return total

    def _refresh_quotas(self) -> None:
        if not self.all("resourcequotas"):
            return
        used = self._used()
        for quota in self.all("resourcequotas"):
            hard = quota["spec"]["hard"]
            shown = {key: _written(used.get(key, Fraction(0))) for key in hard}
            self.change("resourcequotas", quota["metadata"]["name"], {"status": {"hard": None, "used": shown}})
            self.change("resourcequotas", quota["metadata"]["name"], {"status": {"hard": hard}})

    # -- writes --------------------------------------------------------------------------------------------------

    def create(self, plural: str, manifest: Json) -> Json:
        """As a client would."""
        return self._create(plural, json.loads(json.dumps(manifest)))

    def _store(self, plural: str, obj: Json, before: Json | None) -> Json:
        if before is not None and {**obj, "metadata": {**obj["metadata"], "resourceVersion": ""}} == {
            **before,
            "metadata": {**before["metadata"], "resourceVersion": ""},
        }:
            return before
        metadata = dict(obj["metadata"])
        if before is not None and plural in _WITH_GENERATION and obj.get("spec") != before.get("spec"):
            metadata["generation"] = before["metadata"]["generation"] + 1
        stored = {**obj, "metadata": metadata}
        return self._commit("MODIFIED" if before else "ADDED", plural, stored, before)

    def _commit(self, kind: str, plural: str, obj: Json, before: Json | None) -> Json:
        self._version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        key = (plural, obj["metadata"]["name"])
        if kind == "DELETED":
            self.objects.pop(key, None)
            asyncio.get_running_loop().call_later(_GARBAGE_SECONDS, self._collect_garbage, obj["metadata"]["uid"])
        else:
            self.objects[key] = obj
        event = Event(self._version, kind, plural, obj, before)
        self._history.append(event)
        if len(self._history) > 2 * _KEPT_EVENTS:
            self._history = self._history[-_KEPT_EVENTS:]
            self._oldest_watchable = self._history[0].version
        if plural == "pods" and (kind != "MODIFIED" or before is None or _phase(obj) != _phase(before)):
            self._refresh_quotas()
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()
        for listener in self.listeners:
            listener(event)
        return obj

    def _collect_garbage(self, uid: str) -> None:
        for (plural, _), obj in list(self.objects.items()):
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences") or ()):
                self.delete(plural, obj)


def selects(selector: str, obj: Json) -> bool:
    """Equality and existence terms of a label selector."""
    have = obj["metadata"].get("labels") or {}
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(have.get(key) == value if equals else key in have for key, equals, value in terms)


def _phase(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase"))


def _pod_usage(pod: Json) -> dict[str, Fraction]:
    for container in (*pod["spec"].get("containers", ()), *pod["spec"].get("initContainers", ())):
        container.setdefault("resources", {})
    return usage_of(("", "pods"), pod)


def _written(amount: Fraction) -> str:
    return str(amount) if amount.denominator == 1 else f"{amount * 1000}m"
