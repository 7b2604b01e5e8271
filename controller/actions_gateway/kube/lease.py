"""The leader lease: one of several replicas works, and a replica that loses the lease stops at once.

The client's own leader election does not notice when the leader's work crashes; here the renewal and the work live in
one TaskGroup, so that either's end ends the other.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from actions_gateway.kube.resources import LEASES

log = structlog.get_logger(__name__)


class LeadershipLost(RuntimeError):
    """The lease could not be renewed in time; the process must end, since another replica may lead now."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease holds, how long the holder tries to renew it, and how often; in seconds."""

    duration_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration_seconds > self.renew_deadline_seconds > self.retry_seconds * 1.2:
            raise ValueError("a lease needs duration > renew deadline > 1.2 x retry")


class LeaderLease:
    """One replica's claim to a named lease.

    Another holder's lease counts from when *this* process last saw it change, never from the stamp inside, so that
    clock skew between nodes cannot make two leaders.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        rng: random.Random,
        *,
        name: str,
        namespace: str,
        identity: str,
        times: LeaseTimes | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._times = times or LeaseTimes()
        self._seen: Manifest | None = None
        self._seen_at = 0.0
        self._held_since = 0.0
        self._problem = ""
        """Why the last attempt did not hold the lease."""

    async def run_while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, then runs `work` while renewing it; releases the lease when `work` is cancelled.

        Raises LeadershipLost when the renewal fails for the renew deadline.
        """
        while not await self._try_to_hold():
            await self._clock.sleep(self._times.retry_seconds * self._rng.uniform(1.0, 1.2))
        log.info("leading", lease=self._name, identity=self._identity)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._keep(), name="lease renewal"),
                    group.create_task(self._expire(), name="lease deadline"),
                ]
                await work()
                for task in tasks:
                    task.cancel()
        finally:
            await self._release()

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self._times.retry_seconds)
            await self._try_to_hold()

    async def _expire(self) -> None:
        """Raises LeadershipLost when the lease is not renewed in time, whatever a renewal in progress waits for."""
        while (left := self._held_since + self._times.renew_deadline_seconds - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        raise LeadershipLost(
            f"lease {self._namespace}/{self._name} was not renewed within "
            f"{self._times.renew_deadline_seconds:g} s: {self._problem or 'the API server gives no answer'}"
        )

    async def _try_to_hold(self) -> bool:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._times.renew_deadline_seconds):
                is_held = await self._acquire_or_renew()
        except (KubeError, TimeoutError) as problem:
            self._problem = str(problem) or "the API server takes too long"
            log.warning("lease not renewed", lease=self._name, problem=self._problem)
            return False
        if is_held:
            # Others count from when the API server stored it: not before this, however late the answer came.
            self._held_since, self._problem = began, ""
        else:
            self._problem = "another replica holds it"
        return is_held

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            return await self._create()
        self._observe(lease)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._has_expired():
            return False
        lease["spec"] = self._spec(spec, taken=holder != self._identity)
        try:
            self._observe(await self._client.update(LEASES, lease))
        except Conflict:
            return False
        return True

    async def _create(self) -> bool:
        manifest = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec({}, taken=True),
        }
        try:
            self._observe(await self._client.create(LEASES, manifest))
        except AlreadyExists:
            return False
        return True

    def _spec(self, before: Manifest, *, taken: bool) -> Manifest:
        now = _micro_time(self._clock.now())
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._times.duration_seconds),
            "acquireTime": now if taken else before.get("acquireTime", now),
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (1 if taken and before else 0),
        }

    def _observe(self, lease: Manifest) -> None:
        spec = lease.get("spec") or {}
        if self._seen is None or spec != self._seen:
            self._seen = dict(spec)
            self._seen_at = self._clock.monotonic()

    def _has_expired(self) -> bool:
        duration = float((self._seen or {}).get("leaseDurationSeconds") or self._times.duration_seconds)
        return self._clock.monotonic() - self._seen_at > duration

    async def _release(self) -> None:
        """Hands the lease over at once instead of letting the successor wait for its end; best effort."""
        try:
            async with asyncio.timeout(2.0):
                lease = await self._client.get(LEASES, self._name, self._namespace)
                if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.update(LEASES, lease)
        except (KubeError, TimeoutError) as problem:
            log.info("lease not released", lease=self._name, problem=str(problem))


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
