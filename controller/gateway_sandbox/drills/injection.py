"""Brings faults in and out again, from any process: the way back of one that is in force is kept in the cluster.

It lies in a Secret, since it may hold a Secret's content, and is written before the first change.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.errors import NotFound
from gateway_sandbox.drills.codec import decode, encode
from gateway_sandbox.drills.model import Fault, Scope, look
from gateway_sandbox.drills.site import CannotInject, Site
from gateway_sandbox.drills.steps import Step

RECORDS_NAMESPACE = "kube-system"
LABEL = "sandbox.actions-gateway.github.com/fault"
_PREFIX = "sandbox-fault-"
_FIELD_MANAGER = "gw-sandbox"
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class InForce:
    """A fault that was brought in and not taken back."""

    name: str
    namespace: str | None
    way_back: tuple[Step, ...] = ()
    """The newest change first."""
    ready_before: tuple[str, ...] = ()
    """The tenants that were Ready before."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a wish."""

    changed: bool
    """False: it was in force, or out of force, before."""
    settled: bool
    """Whether it has taken hold, or is gone for good, within the time."""
    seconds: float
    """From the wish to that."""


async def in_force(site: Site) -> tuple[InForce, ...]:
    """The faults that are in force, by name and tenant; raises KubeError."""
    found = await site.client.list(r.SECRETS, RECORDS_NAMESPACE, label_selector=LABEL)
    return tuple(sorted((_parsed(one) for one in found.items), key=lambda one: (one.name, one.namespace or "")))


async def tenants(site: Site) -> tuple[str, ...]:
    """The namespaces with a gateway; raises KubeError."""
    found = await site.client.list(r.ACTIONSGATEWAYS)
    return tuple(one["metadata"]["namespace"] for one in found.items)


async def inject(site: Site, fault: Fault, namespace: str | None = None, *, timeout_seconds: float) -> Result:
    """Brings a fault in and waits until it shows; one that is in force already is left as it is.

    `namespace` is the tenant's, for a fault of that scope. Raises CannotInject before anything is changed, KubeError,
    and what the simulator's client raises; what was changed until then is in force and can be taken back.
    """
    started = site.clock.monotonic()
    where = namespace if fault.scope is Scope.TENANT else None
    if is_new := await _find(site, fault, where) is None:
        before = await look(site, where)
        if fault.scope is Scope.TENANT and (where is None or not before.gateways):
            raise CannotInject(f"{where or 'no namespace'} has no gateway", "Name a tenant of the sandbox with -n.")
        steps = fault.plan(before)
        for other in await in_force(site):
            _refuse_overlap(steps, other)
        ways_back = [await step.way_back(site) for step in steps]
        newest_first = tuple(step for step in reversed(ways_back) if step is not None)
        await _remember(site, InForce(fault.name, where, newest_first, before.ready_tenants))
        for step in steps:
            await step.act(site)

    async def is_there() -> bool:
        return fault.shows(await look(site, where))

    settled = await _until(site, is_there, started + timeout_seconds)
    return Result(is_new, settled, site.clock.monotonic() - started)


async def undo(site: Site, fault: Fault, namespace: str | None = None, *, timeout_seconds: float) -> Result:
    """Takes a fault back and waits until nothing shows it; one that is not in force is fine."""
    started = site.clock.monotonic()
    where = namespace if fault.scope is Scope.TENANT else None
    record = await _find(site, fault, where)
    if record is None:
        return Result(changed=False, settled=True, seconds=0.0)
    for step in record.way_back:
        await step.act(site)
    deadline = started + timeout_seconds

    async def is_restored() -> bool:
        # Not all(): each goes on with its own.
        return False not in [await step.settle(site) for step in record.way_back]

    async def is_gone() -> bool:
        now = await look(site, where)
        ready = set(now.ready_tenants) & set(now.heard_tenants)
        # A tenant that was removed meanwhile is not waited for.
        there = {one["metadata"]["namespace"] for one in now.gateways}
        return not fault.shows(now) and set(record.ready_before) & there <= ready

    settled = await _until(site, is_restored, deadline) and await _until(site, is_gone, deadline)
    if settled:
        # Not sooner: who asks again for what stands still would hear that it is not in force.
        await _forget(site, fault, where)
    return Result(changed=True, settled=settled, seconds=site.clock.monotonic() - started)


async def _until(site: Site, holds: Callable[[], Awaitable[bool]], deadline: float) -> bool:
    while not await holds():
        if site.clock.monotonic() >= deadline:
            return False
        await site.clock.sleep(_LOOK_SECONDS)
    return True


async def _find(site: Site, fault: Fault, namespace: str | None) -> InForce | None:
    try:
        return _parsed(await site.client.get(r.SECRETS, _record_name(fault.name, namespace), RECORDS_NAMESPACE))
    except NotFound:
        return None


async def _remember(site: Site, record: InForce) -> None:
    document = {
        "namespace": record.namespace,
        "way_back": [encode(step) for step in record.way_back],
        "ready_before": record.ready_before,
    }
    secret = {
        "metadata": {
            "name": _record_name(record.name, record.namespace),
            "namespace": RECORDS_NAMESPACE,
            "labels": {LABEL: record.name},
        },
        "data": {"record": base64.b64encode(json.dumps(document).encode()).decode()},
    }
    await site.client.apply(r.SECRETS, secret, field_manager=_FIELD_MANAGER)


def _refuse_overlap(steps: Sequence[Step], other: InForce) -> None:
    """Raises CannotInject where taking both back would bring one of them in again."""
    for mine in [step.changes for step in steps]:
        for its in [step.changes for step in other.way_back]:
            if mine is not None and its is not None and mine.touches(its):
                whose = f" -n {other.namespace}" if other.namespace else ""
                raise CannotInject(
                    f"{other.name} is in force, which changes the {mine.target.kind} {mine.target.name}, too",
                    f"Take it back first: gw sandbox fault {other.name} --undo{whose}.",
                )


async def _forget(site: Site, fault: Fault, namespace: str | None) -> None:
    try:
        await site.client.delete(r.SECRETS, _record_name(fault.name, namespace), namespace=RECORDS_NAMESPACE)
    except NotFound:
        return


def _record_name(fault: str, namespace: str | None) -> str:
    return f"{_PREFIX}{fault}" + (f".{namespace}" if namespace else "")


def _parsed(secret: Manifest) -> InForce:
    document = json.loads(base64.b64decode(secret["data"]["record"]))
    return InForce(
        secret["metadata"]["labels"][LABEL],
        document["namespace"],
        tuple(decode(step) for step in document["way_back"]),
        tuple(document["ready_before"]),
    )
