"""The write path that all kinds share: create, update, patch and apply, through every endpoint of a resource.

decode (prune, default, check) -> keep what a client may not change -> admission (new objects) -> validation ->
field ownership -> store. A write that changes nothing is not stored, and an object that was only waiting for its last
finalizer is removed. Source: k8s.io/apiserver pkg/registry/rest and pkg/registry/generic/registry/store.go.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver import statuses
from gateway_sandbox.apiserver.admission import Admission
from gateway_sandbox.apiserver.defaults import compute_defaults, initial_state, initial_status
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.managedfields import Writing, apply_configuration, differs_only_in_times, record_update
from gateway_sandbox.apiserver.schema import Report, conform
from gateway_sandbox.apiserver.store import Key, Record, Store, timestamp
from gateway_sandbox.apiserver.validation import FIXED, object_faults, update_faults

_OTHER_NAME = "the name of the object ({}) does not match the name on the URL ({})"
_OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_NAME_LENGTH = 5
_SERVER_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")

UnknownFields = Literal["Ignore", "Warn", "Strict"]


@dataclass(slots=True)
class WriteOptions:
    """How a request wants to write; `warnings` collects what the answer's Warning headers say."""

    manager: str
    subresource: str = ""
    dry_run: bool = False
    unknown_fields: UnknownFields = "Warn"
    is_patch: bool = False
    warnings: list[str] = field(default_factory=list)


class Writer:
    """Creates and updates objects; all methods are synchronous and atomic."""

    def __init__(self, store: Store, admission: Admission, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._admission = admission
        self._clock = clock
        self._rng = rng

    def now(self) -> str:
        """The time as objects carry it."""
        return timestamp(self._clock.now())

    def create(self, kind: Kind, namespace: str, body: Json, options: WriteOptions) -> Record:
        """Stores a new object; raises ApiError (AlreadyExists, Forbidden, Invalid, NotFound)."""
        obj = self._typed(kind, body)
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise statuses.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        self._name(kind, namespace, metadata)
        initial_state(kind, obj)
        self._decode(kind, obj, options)
        for name in _SERVER_METADATA:
            metadata.pop(name, None)
        metadata |= {"uid": self._uid(), "creationTimestamp": self.now()}
        metadata |= {"generation": 1} if kind.counts_generation else {}
        self._admission.mutate(kind, namespace, obj)
        initial_status(kind, obj, self.now())
        self._check(kind, obj, object_faults(kind, obj))
        key = (namespace, metadata["name"])
        if self._store.get(kind.storage, key) is not None:
            raise statuses.already_exists(kind, metadata["name"])
        self._admission.validate(kind, namespace, obj)
        record_update(kind, None, obj, self._writing(options))
        return Record(obj, 0) if options.dry_run else self._store.put(kind.storage, key, obj)

    def update(self, kind: Kind, key: Key, options: WriteOptions, change: Callable[[Json], Json]) -> Record:
        """Stores what `change` makes of a private copy of the live object; raises ApiError."""
        record = self._store.get(kind.storage, key)
        if record is None:
            raise statuses.not_found(kind, key[1])
        return self._save(kind, key, record, change(kind.to_served(record.copy())), options, is_applied=False)

    def apply(self, kind: Kind, key: Key, config: Json, options: WriteOptions, *, force: bool) -> tuple[Record, bool]:
        """Server-side apply; returns the object and whether it is new."""
        config = _applied_part(kind, self._typed(kind, config), options.subresource)
        metadata = config["metadata"]
        if metadata.setdefault("name", key[1]) != key[1]:
            raise statuses.bad_request(_OTHER_NAME.format(metadata["name"], key[1]))
        record = self._store.get(kind.storage, key)
        if record is not None:
            merged = apply_configuration(kind, record.copy(), config, self._writing(options), force=force)
            return self._save(kind, key, record, merged, options, is_applied=True), False
        if options.subresource:
            raise statuses.not_found(kind, key[1])
        empty = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
        merged = apply_configuration(kind, empty, config, self._writing(options), force=force)
        return self._create_applied(kind, key[0], merged, options), True

    def _create_applied(self, kind: Kind, namespace: str, merged: Json, options: WriteOptions) -> Record:
        """A new object whose applied fields stay the applier's; what the server adds belongs to nobody."""
        owned = merged["metadata"].pop("managedFields", [])
        record = self.create(kind, namespace, merged, replace(options, dry_run=True))
        metadata = record.obj["metadata"]
        metadata["managedFields"] = owned
        return record if options.dry_run else self._store.put(kind.storage, (namespace, metadata["name"]), record.obj)

    def _save(
        self, kind: Kind, key: Key, record: Record, new: Json, options: WriteOptions, *, is_applied: bool
    ) -> Record:
        old = record.obj
        new = self._typed(kind, new)
        self._check_preconditions(kind, old, new["metadata"], options)
        new = _restricted(kind, record.copy(), new, options.subresource)
        self._decode(kind, new, options)
        _keep_metadata(old["metadata"], new["metadata"])
        if kind.counts_generation and _counted_part(kind, new) != _counted_part(kind, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        faults = update_faults(kind, new, old) + object_faults(kind, new)
        self._check(kind, new, faults)
        if not is_applied:
            record_update(kind, old, new, self._writing(options))
        if differs_only_in_times(new, old):
            return record
        if options.dry_run:
            return Record(new, record.version)
        if is_finished(kind, new):
            return self._store.remove(kind.storage, key, new)
        return self._store.put(kind.storage, key, new)

    def _typed(self, kind: Kind, body: Any) -> Json:
        """The body in the stored spelling, with its type and metadata in place."""
        if not isinstance(body, dict):
            raise statuses.bad_request(f"the body of the request is no {kind.kind}")
        given = body.get("kind") or kind.kind, body.get("apiVersion") or kind.api_version
        if given[0] != kind.kind:
            raise statuses.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {given[0]}')
        if given[1] not in (kind.api_version, kind.stored_api_version):
            text = "the API version in the data ({}) does not match the expected API version ({})"
            raise statuses.bad_request(text.format(given[1], kind.api_version))
        metadata = body.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise statuses.bad_request("metadata must be an object")
        typed = {"kind": kind.kind, "apiVersion": kind.stored_api_version, "metadata": metadata}
        return typed | {name: value for name, value in kind.to_stored(body).items() if name not in typed}

    def _name(self, kind: Kind, namespace: str, metadata: Json) -> None:
        if metadata.get("namespace", namespace) != namespace:
            raise statuses.bad_request(_OTHER_NAMESPACE)
        if namespace:
            metadata["namespace"] = namespace
        if not metadata.get("name") and metadata.get("generateName"):
            letters = (self._rng.choice(_NAME_LETTERS) for _ in range(_GENERATED_NAME_LENGTH))
            metadata["name"] = metadata["generateName"][: 63 - _GENERATED_NAME_LENGTH] + "".join(letters)

    def _uid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _writing(self, options: WriteOptions) -> Writing:
        return Writing(options.manager, options.subresource, self.now())

    def _decode(self, kind: Kind, obj: Json, options: WriteOptions) -> None:
        report = Report()
        try:
            conform(kind.node, obj, report)
        except statuses.ApiError as problem:
            raise _undecodable(kind, problem.message, options) from problem
        if report.unknown and options.unknown_fields != "Ignore":
            self._report_unknown(kind, report.unknown, options)
        self._check(kind, obj, report.causes)
        compute_defaults(kind, obj)

    def _report_unknown(self, kind: Kind, unknown: list[str], options: WriteOptions) -> None:
        texts = [f'unknown field "{path}"' for path in unknown]
        if options.unknown_fields == "Strict":
            raise _undecodable(kind, "strict decoding error: " + ", ".join(texts), options)
        options.warnings.extend(texts)

    def _check(self, kind: Kind, obj: Json, faults: list[Any]) -> None:
        if faults:
            raise statuses.invalid(kind, obj["metadata"].get("name", ""), faults)

    def _check_preconditions(self, kind: Kind, old: Json, sent: Json, options: WriteOptions) -> None:
        name = old["metadata"]["name"]
        if (sent.get("name") or name) != name:
            raise statuses.bad_request(_OTHER_NAME.format(sent["name"], name))
        if sent.get("namespace") not in (None, "", old["metadata"].get("namespace")):
            raise statuses.bad_request(_OTHER_NAMESPACE)
        uid = old["metadata"]["uid"]
        if sent.get("uid", uid) != uid:
            if options.is_patch:
                raise statuses.invalid(kind, name, [statuses.invalid_value("metadata.uid", sent["uid"], FIXED)])
            text = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {uid}"
            raise statuses.conflict(kind, name, text)
        version = sent.get("resourceVersion", "")
        if not version and kind.needs_version_on_put:
            fault = statuses.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise statuses.invalid(kind, name, [fault])
        if version not in ("", "0", old["metadata"]["resourceVersion"]):
            raise statuses.conflict(kind, name)


def _undecodable(kind: Kind, text: str, options: WriteOptions) -> statuses.ApiError:
    """The refusal of a body, or of what a patch makes of the live object."""
    if options.is_patch:
        return statuses.invalid_request(statuses.invalid_value("patch", "", text))
    return statuses.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}')


def is_finished(kind: Kind, obj: Json) -> bool:
    """Whether nothing holds back an object that is being deleted."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if kind.storage == ("", "namespaces") and obj["spec"].get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def _keep_metadata(old: Json, new: Json) -> None:
    for name in ("name", "namespace", *_SERVER_METADATA):
        if name in old:
            new[name] = old[name]
        else:
            new.pop(name, None)
    new["resourceVersion"] = old["resourceVersion"]


def _restricted(kind: Kind, live: Json, new: Json, subresource: str) -> Json:
    """`new` cut to what an endpoint may change; `live` is a private copy."""
    if subresource == "status":
        metadata = live["metadata"] if kind.is_custom else new["metadata"]
        if "managedFields" in new["metadata"]:
            metadata["managedFields"] = new["metadata"]["managedFields"]
        rest = {name: value for name, value in live.items() if name not in ("status", "metadata")}
        return rest | {"metadata": metadata} | ({"status": new["status"]} if "status" in new else {})
    if kind.storage == ("", "namespaces"):
        new["spec"] = live["spec"]
    if "status" in kind.subresources:
        new.pop("status", None)
        new |= {"status": live["status"]} if "status" in live else {}
    return new


def _applied_part(kind: Kind, config: Json, subresource: str) -> Json:
    """The fields of an applied configuration that its endpoint takes."""
    if subresource == "status":
        names = ("apiVersion", "kind", "status")
        metadata = {name: value for name, value in config["metadata"].items() if name in ("name", "namespace", "uid")}
        return {name: config[name] for name in names if name in config} | {"metadata": metadata}
    hidden = ("status",) if "status" in kind.subresources else ()
    return {name: value for name, value in config.items() if name not in hidden}


def _counted_part(kind: Kind, obj: Json) -> Json:
    """What a write must change to count as a new generation."""
    hidden = ("apiVersion", "kind", "metadata", *(("status",) if "status" in kind.subresources else ()))
    part = {name: value for name, value in obj.items() if name not in hidden}
    if kind.kind == "Deployment" and not kind.is_custom:
        part["annotations"] = obj["metadata"].get("annotations")
    return part
