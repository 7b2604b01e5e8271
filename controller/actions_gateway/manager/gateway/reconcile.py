"""One pass over one gateway: gather, decide, write, report."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NamespaceTerminating
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.resources import ACTIONSGATEWAYS, Resource
from actions_gateway.manager.fleet.export import Fleet
from actions_gateway.manager.fleet.rollout import Rollout
from actions_gateway.manager.gateway.announcements import decide_announcements
from actions_gateway.manager.gateway.apply import Writer
from actions_gateway.manager.gateway.conditions import Verdict, decide_conditions
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.deletion import decide_deletion, is_leaving, leaving_verdict
from actions_gateway.manager.gateway.gather import gather
from actions_gateway.manager.gateway.mirror import Edit, Mirrors
from actions_gateway.manager.gateway.release import standing
from actions_gateway.manager.gateway.snapshot import Deletion, Failure, Key, Plan, Snapshot
from actions_gateway.manager.gateway.status import build_status
from actions_gateway.settings import ManagerSettings

log = structlog.get_logger(__name__)


class ProvisioningIncomplete(RuntimeError):
    """Steps of a pass failed; the status says so already."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        super().__init__("; ".join(str(failure) for failure in failures))
        self.failures = failures
        self.retry_after_seconds = max((failure.error.retry_after_seconds or 0.0 for failure in failures), default=0.0)


class GatewayReconciler:
    """Passes over gateways, on what the mirrors hold."""

    def __init__(
        self,
        settings: ManagerSettings,
        mirrors: Mirrors,
        *,
        client: KubeClient,
        clock: Clock,
        events: EventRecorder,
        fleet: Fleet,
        rollout: Rollout,
        on_news: Callable[[Resource, Edit], None],
    ) -> None:
        self._settings = settings
        self._mirrors = mirrors
        self._writer = Writer(client, mirrors, on_news=on_news)
        self._clock = clock
        self._events = events
        self._fleet = fleet
        self._rollout = rollout

    async def reconcile(self, key: Key) -> float | None:
        """Returns the seconds until time alone calls for another pass, or None.

        Raises ProvisioningIncomplete after the status tells of it, and KubeError when the status cannot be written.
        """
        try:
            return await self._pass(key)
        except Exception:
            # Whatever it was: a tenant that cannot use its turn of the release must not keep it from the others.
            self._rollout.give_up(key)
            raise

    async def _pass(self, key: Key) -> float | None:
        snapshot = gather(self._mirrors, key)
        plan = self._plan(snapshot, key) if snapshot else None
        if snapshot is None or plan is None:
            self._forget(key)
            return None
        log.debug("gateway planned", namespace=key[0], name=key[1], stages=[len(stage) for stage in plan.stages])
        if plan.deletion:
            return await self._take_down(snapshot, plan, plan.deletion, key)
        failures = await self._writer.apply_plan(plan, namespace=key[0])
        if any(isinstance(failure.error, NamespaceTerminating) for failure in failures):
            # The mirror is behind. A namespace does not come back: its end, or a successor's beginning, is an event.
            log.info("namespace is being deleted: nothing is provisioned in it", namespace=key[0], name=key[1])
            self._forget(key)
            return None
        for notice in () if failures else plan.notices:
            await self._events.record(notice.regarding, notice.reason, notice.message, action="Reconcile", warning=True)
        if not snapshot.is_marked and plan.refusal is None and not failures:
            # Half a pass: the watch brings the marked namespace, and then there is something to report.
            return None
        now = self._clock.now()
        after = self._after_writes(snapshot, plan, key)
        self._rollout.observe(key, None if plan.refusal else standing(after, self._settings))
        verdict = decide_conditions(after, plan, failures, now)
        await self._report(after, verdict, now)
        self._show(after, plan, key)
        if failures:
            raise ProvisioningIncomplete(failures)
        return verdict.again_after_seconds

    def _plan(self, snapshot: Snapshot, key: Key) -> Plan | None:
        if is_leaving(snapshot.gateway):
            return decide_deletion(snapshot, self._clock.now())
        may_roll = self._rollout.may_roll(key, standing(snapshot, self._settings))
        return decide(snapshot, self._settings, may_roll=may_roll)

    async def _take_down(self, snapshot: Snapshot, plan: Plan, deletion: Deletion, key: Key) -> float | None:
        """One step of a gateway's end; what it leaves behind is told before, since nobody could tell it afterwards."""
        self._rollout.observe(key, None)
        for notice in deletion.notices:
            await self._events.record(notice.regarding, notice.reason, notice.message, action="Delete", warning=True)
        failures = await self._writer.apply_plan(plan, namespace=key[0])
        if deletion.is_over:
            self._fleet.forget(key)
        else:
            now, after = self._clock.now(), self._after_writes(snapshot, plan, key)
            verdict = leaving_verdict(decide_conditions(after, plan, failures, now), deletion)
            await self._report(after, verdict, now)
            self._show(after, plan, key)
        if failures:
            raise ProvisioningIncomplete(failures)
        return None if deletion.is_over else deletion.again_after_seconds

    def _after_writes(self, snapshot: Snapshot, plan: Plan, key: Key) -> Snapshot:
        """The children as they are now, beside the gateway that was acted on: its generation is the one observed."""
        if not any(plan.stages):
            return snapshot
        after = gather(self._mirrors, key)
        return replace(after, gateway=snapshot.gateway) if after else snapshot

    async def _report(self, snapshot: Snapshot, verdict: Verdict, now: datetime) -> None:
        if status := build_status(snapshot, verdict, now):
            await self._writer.apply_status(status)
        for announcement in decide_announcements(snapshot.gateway, verdict):
            await self._events.record(
                snapshot.gateway,
                announcement.reason,
                announcement.message,
                action="Reconcile",
                warning=announcement.is_warning,
            )

    def _forget(self, key: Key) -> None:
        self._fleet.forget(key)
        self._rollout.observe(key, None)

    def _show(self, snapshot: Snapshot, plan: Plan, key: Key) -> None:
        namespace, name = key
        gateway = self._mirrors[ACTIONSGATEWAYS].get(name, namespace) or snapshot.gateway
        # A served gateway whose spec became invalid still has its agent, which is still expected to run.
        is_served = plan.refusal is None or snapshot.agent is not None
        self._fleet.observe(key, replace(snapshot, gateway=gateway), is_served=is_served)
