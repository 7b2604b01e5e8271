"""Brings faults into the sandbox and out again, and says which are in force."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actions_gateway.engine.clock import Clock
from gateway_sandbox.drills import injection
from gateway_sandbox.drills.site import CannotInject, Site
from gateway_sandbox.faults import FAULTS, Fault, Scope, fault_of
from gateway_sandbox.monitoring.programs import ALERTMANAGER, PROMETHEUS
from gw.errors import Refused
from gw.ops.sandbox import simulator_of
from gw.sources.cluster import asking
from gw.sources.sandbox import FaultFact, FaultOutcome, SandboxFact, open_as_admin


def parse_fault(name: str) -> Fault:
    """Raises Refused with the names that there are."""
    if (fault := fault_of(name)) is None:
        names = ", ".join(fault.name for fault in FAULTS)
        raise Refused(f"there is no fault {name!r}", f"Name one of: {names}.")
    return fault


@asynccontextmanager
async def open_site(sandbox: SandboxFact, clock: Clock) -> AsyncIterator[Site]:
    """The sandbox as drills see it; raises GwError."""
    urls = {PROMETHEUS.name: sandbox.prometheus_url, ALERTMANAGER.name: sandbox.alertmanager_url}
    async with open_as_admin(sandbox) as client, simulator_of(sandbox) as simulator:
        yield Site(client, simulator, clock, Path(sandbox.monitoring_folder), urls)


async def list_faults(site: Site) -> tuple[FaultFact, ...]:
    """All faults, in the library's order."""
    with asking("list the faults that are in force"):
        there = await injection.in_force(site)
    return tuple(_fact(fault, tuple(one.namespace for one in there if one.name == fault.name)) for fault in FAULTS)


async def carry_out(
    site: Site, fault: Fault, namespace: str | None, *, undone: bool, timeout_seconds: float
) -> FaultOutcome:
    """Brings the fault in, or takes it back, and waits for the effect; raises GwError."""
    where = await _tenant(site, fault, namespace, undone=undone)
    act = injection.undo if undone else injection.inject
    doing = f"{'take back' if undone else 'inject'} {fault.name}"
    try:
        with asking(doing, writes=True):
            result = await act(site, fault, where, timeout_seconds=timeout_seconds)
    except CannotInject as problem:
        raise Refused(problem.message, f"{problem.next_step} Nothing was changed.") from problem
    return FaultOutcome(
        _fact(fault),
        where,
        undone=undone,
        changed=result.changed,
        settled=result.settled,
        seconds=result.seconds,
    )


def _fact(fault: Fault, in_force: tuple[str | None, ...] = ()) -> FaultFact:
    return FaultFact(
        fault.name,
        fault.title,
        fault.summary,
        fault.scope,
        fault.expects,
        tuple(sorted(fault.follows)),
        fault.alert,
        in_force,
    )


async def _tenant(site: Site, fault: Fault, namespace: str | None, *, undone: bool) -> str | None:
    """The tenant that is meant: the only one where none is named."""
    if fault.scope is Scope.CLUSTER:
        if namespace is not None:
            raise Refused(f"{fault.name} is a fault of the whole cluster", "Leave out -n.")
        return None
    if namespace is not None:
        return namespace
    with asking("list the tenants"):
        there = await injection.in_force(site)
        tenants = sorted(await injection.tenants(site))
    if undone and (hit := [one.namespace for one in there if one.name == fault.name]):
        tenants = [name for name in hit if name is not None]
    if len(tenants) == 1:
        return tenants[0]
    if not tenants:
        raise Refused("the sandbox has no tenant", "Add one with `gw tenant add`.")
    raise Refused(f"{fault.name} is a fault of one tenant", f"Name it with -n: {', '.join(tenants)}.")
