"""What happens when something real breaks: everything that fires, from when, and until when.

Each scenario is a cluster of its own in one Prometheus, with a second tenant whom the fault is none of. Faults begin at
the minute BEGIN.
"""

from collections.abc import Callable
from dataclasses import dataclass

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases.model import Series
from gw_alerts.cases.samples import Samples, counting, mapped, steps
from gw_alerts.cases.world import JOBS_PER_MINUTE, TENANTS, World

BEGIN = 30
UNTIL = 70
_A, _B = TENANTS


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert fires from minute `start` until just before `end`, or to the end of the scenario."""

    alert: str
    start: int
    end: int = UNTIL + 1
    tenant: str = _A
    arm: str = ""

    def is_active(self, minute: int) -> bool:
        """Whether it fires in that minute."""
        return self.start <= minute < self.end

    @property
    def name(self) -> str:
        """The whole name of the alert."""
        return f"ActionsGateway{self.alert}"

    @property
    def labels(self) -> dict[str, str]:
        """By which it is told from others."""
        found = {"alertname": self.name, "arm": self.arm, "namespace": self.tenant}
        return {name: value for name, value in sorted(found.items()) if value}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault and all that fires."""

    name: str
    fault: Callable[[World], None]
    fires: tuple[Firing, ...] = ()
    untold: tuple[str, ...] = ()
    """Alerts of which nobody is told, since another one names the cause."""

    @property
    def series(self) -> tuple[Series, ...]:
        """The cluster with the fault."""
        world = World(UNTIL)
        self.fault(world)
        return world.series


def _nothing(_: World) -> None:
    """All is well."""


def _agent_out_of_memory(world: World) -> None:
    """Killed every four minutes, back after two, and after the fourth time not at all."""
    for minute in (30, 34, 38):
        world.end(minute, ("agent",), _A, back=minute + 1.5)
    world.end(42, ("agent",), _A)
    world.set(m.AGENT_TERMINATIONS, steps(UNTIL, (0, 0), (30, 1), (34, 2), (38, 3), (42, 4)), reason="OOMKilled")


def _manager_down(world: World) -> None:
    """And half an hour later an agent."""
    world.end(BEGIN, ("manager",))
    world.end(60, ("agent",), _A)


def _jobs_until(minute: float) -> Samples:
    """The last job is taken a little before: while sessions are used up none need be open."""
    return counting(UNTIL, (0, JOBS_PER_MINUTE), (minute - 3, 0))


def _unreachable(world: World, tenant: str) -> None:
    """As fast as it can be felt: every session closes at once, and everything is tried a hundred times a minute."""
    zero = world.steady(0)
    world.set(m.GITHUB_REQUESTS, counting(UNTIL, (0, 4), (BEGIN, 0)), tenant, endpoint="poll", code_class="2xx")
    world.set(m.GITHUB_REQUESTS, world.growing(BEGIN, 100), tenant, endpoint="poll", code_class="error")
    world.set(m.ACTIVE_SESSIONS, world.since(BEGIN, 0, before=3), tenant)
    world.set(m.JOBS_ACQUIRED, _jobs_until(BEGIN), tenant)
    world.set(m.MESSAGE_POLL_ERRORS, world.growing(BEGIN, 100), tenant)
    world.set(m.AGENT_RECYCLE_ERRORS, world.growing(BEGIN, 100), tenant)
    world.set(m.RENEWJOB_ERRORS, world.growing(BEGIN, 100), tenant)
    world.set(m.TOKEN_REFRESH_ERRORS, world.growing(BEGIN, 100), tenant)
    left = mapped(zero, lambda _, second: min(580.0, 580 - (second - BEGIN * 60)))
    world.set(m.LOCK_REMAINING, left, tenant)
    last = mapped(zero, lambda _, second: min(second, BEGIN * 60) - 20)
    world.set(m.LAST_POLL_TIMESTAMP, last, tenant)
    world.set(foreign.CONNECT_FAILURES, world.growing(BEGIN, 100), tenant)


def _github_down(world: World) -> None:
    for tenant in TENANTS:
        _unreachable(world, tenant)


def _proxy_down(world: World) -> None:
    _unreachable(world, _A)
    world.set(m.PROXY_READY_REPLICAS, world.since(BEGIN, 0, before=2))
    world.end(BEGIN, ("proxy",), _A)


def _quota_full(world: World) -> None:
    world.set(m.QUOTA_USED, world.since(BEGIN, 10, before=4), key="requests.cpu")
    world.set(m.WORKER_QUOTA_EXCEEDED, world.since(BEGIN, 1))
    world.set(m.OLDEST_WAITING_JOB, world.waited(BEGIN), reason="quota")


def _quota_raised(world: World) -> None:
    world.set(m.QUOTA_HARD, world.since(BEGIN, 12, before=10), key="requests.cpu")
    world.set(m.OLDEST_WAITING_JOB, steps(UNTIL, (0, 0), (BEGIN, 20), (BEGIN + 1, 0)), reason="quota")


def _key_revoked(world: World) -> None:
    """The token in use still works for a while; then nothing does, and GitHub says so."""
    ends = (BEGIN + 10) * 60
    world.set(m.TOKEN_EXPIRY_TIMESTAMP, mapped(world.steady(0), lambda _, second: min(second + 2400, float(ends))))
    world.set(m.TOKEN_REFRESH_ERRORS, world.growing(BEGIN + 5, 1))
    world.set(m.GITHUB_REQUESTS, world.growing(BEGIN + 5, 1), endpoint="token", code_class="4xx")
    world.set(m.GITHUB_REQUESTS, counting(UNTIL, (0, 4), (BEGIN + 10, 0)), endpoint="poll", code_class="2xx")
    world.set(m.ACTIVE_SESSIONS, world.since(BEGIN + 10, 0, before=3))
    world.set(m.JOBS_ACQUIRED, _jobs_until(BEGIN + 10))


def _node_drained(world: World) -> None:
    """Three workers are evicted, one for the third time; the agent is back on another node within a minute."""
    world.set(m.EVICTION_RETRIES, world.since(BEGIN, 3), cause="eviction")
    world.set(m.EVICTION_RETRIES_EXHAUSTED, world.since(BEGIN, 1))
    world.end(BEGIN, ("agent",), _A, back=BEGIN + 1)


def _paused(world: World) -> None:
    world.set(m.CONDITION, world.since(BEGIN, 1), kind="ActionsGateway", type="Paused", status="True")
    world.set(m.EXPECTED_SESSIONS, world.since(BEGIN, 0, before=1))
    world.set(m.ACTIVE_SESSIONS, world.since(BEGIN, 0, before=3))
    world.set(m.LISTENER_SLOTS, world.since(BEGIN, 0, before=3), state="polling")
    world.set(m.LAST_POLL_TIMESTAMP, mapped(world.steady(0), lambda _, second: min(second, BEGIN * 60) - 20))


def _paused_with_a_bad_key(world: World) -> None:
    _paused(world)
    world.set(m.CONDITION, world.since(BEGIN, 1), kind="ActionsGateway", type="CredentialUnavailable", status="True")


def _deleted(world: World) -> None:
    """First its agent ends, then the manager speaks of it no more; half an hour later the manager ends."""
    world.end(BEGIN, ("agent", "proxy"), _A)
    world.end(BEGIN + 1, ("manager",), _A)
    world.end(60, ("manager",))


def _silence(tenant: str = _A) -> tuple[Firing, ...]:
    """What follows when no request of a tenant is answered any more."""
    names = {
        "GitHubUnreachable": (32, ""),
        "NoActiveSessions": (33, "none"),
        "RenewJobErrors": (33, "errors"),
        "TokenRefreshErrors": (33, ""),
        "AgentRecycleErrors": (41, ""),
        "MessagePollErrors": (41, ""),
        # An hour of history is what a budget is judged by at least.
        "SLOSessionAvailabilityBurnFast": (63, ""),
    }
    return (
        *(Firing(name, start, tenant=tenant, arm=arm) for name, (start, arm) in names.items()),
        Firing("NoActiveSessions", 34, tenant=tenant, arm="silent"),
        Firing("RenewJobErrors", 36, tenant=tenant, arm="lock"),
    )


_FOLLOWS = (
    "NoActiveSessions", "RenewJobErrors", "TokenRefreshErrors", "AgentRecycleErrors", "MessagePollErrors",
    "SLOSessionAvailabilityBurnFast",
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("all is well", _nothing),
    Scenario(
        "an agent runs out of memory",
        _agent_out_of_memory,
        (
            Firing("AgentOOMKilled", 30, 57),
            Firing("AgentCrashLooping", 38, 54),
            Firing("AgentDown", 44),
            Firing("NoActiveSessions", 45, arm="none"),
            Firing("SLOSessionAvailabilityBurnFast", 63),
        ),
        untold=("NoActiveSessions", "SLOSessionAvailabilityBurnFast"),
    ),
    Scenario(
        "the manager is down, and later an agent",
        _manager_down,
        (
            Firing("ManagerDown", 35, tenant=""),
            Firing("AgentDown", 62),
            Firing("NoActiveSessions", 63, arm="none"),
            Firing("SLOSessionAvailabilityBurnFast", 64),
        ),
        untold=("NoActiveSessions", "SLOSessionAvailabilityBurnFast"),
    ),
    Scenario(
        "GitHub is down",
        _github_down,
        (
            *_silence(_A), Firing("ProxyDialErrorSpike", 44, tenant=_A),
            *_silence(_B), Firing("ProxyDialErrorSpike", 44, tenant=_B),
        ),
        untold=(*_FOLLOWS, "ProxyDialErrorSpike"),
    ),
    Scenario(
        "the proxies of a tenant are down", _proxy_down, (Firing("ProxyDown", 32), *_silence()), untold=_FOLLOWS
    ),
    Scenario(
        "a quota is full",
        _quota_full,
        (
            Firing("PodCreationLatencyP99", 37, arm="held"),
            Firing("WorkerQuotaExceeded", 45),
            Firing("QuotaSaturated", 60),
        ),
    ),
    Scenario("a quota is raised a little", _quota_raised),
    Scenario(
        "a key is revoked",
        _key_revoked,
        (
            Firing("TokenExpiring", 39),
            Firing("TokenRefreshErrors", 39),
            Firing("NoActiveSessions", 43, arm="none"),
            Firing("TokenRefreshAbuse", 49),
            Firing("SLOSessionAvailabilityBurnFast", 63),
        ),
    ),
    Scenario("a node is drained", _node_drained, (Firing("EvictionRetriesExhausted", 31, 45),)),
    Scenario("a tenant is paused", _paused, (Firing("TenantPaused", 30),)),
    Scenario(
        "a tenant is paused and its key is gone",
        _paused_with_a_bad_key,
        (Firing("TenantPaused", 30), Firing("GatewayImpaired", 45)),
    ),
    Scenario("a tenant is deleted", _deleted, (Firing("ManagerDown", 65, tenant=""),)),
)  # fmt: skip
