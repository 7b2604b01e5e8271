"""A cluster in which all is well, minute by minute: two tenants, their agents and proxies, a manager, Prometheus.

A scenario changes what a fault changes and leaves the rest, so that what fires is the fault's doing alone.
"""

from collections.abc import Iterable

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts.cases.latency import histogram
from gw_alerts.cases.model import Series
from gw_alerts.cases.plant import PLATFORM
from gw_alerts.cases.samples import STALE, Samples, counting, mapped, steps, without
from gw_alerts.cases.shapes import of

TENANTS = ("team-a", "team-b")
JOBS_PER_MINUTE = 0.5


class World:
    """The series of one cluster until a minute; faults replace some."""

    def __init__(self, until: int) -> None:
        self.until = until
        self._series: dict[tuple[str, ...], Series] = {}
        self._manager()
        for tenant in TENANTS:
            self._told(tenant)
            self._agent(tenant)
            self._proxy(tenant)

    @property
    def series(self) -> tuple[Series, ...]:
        """All of them."""
        return tuple(self._series.values())

    def set(
        self, metric: m.Metric | foreign.ForeignSeries, samples: Samples, tenant: str = TENANTS[0], **labels: str
    ) -> None:
        """Puts other samples into the series of a tenant that has these labels, or adds one."""
        series = of(metric, samples, namespace=tenant, **labels)
        known = self._series.get(_key(series))
        self._series[_key(series)] = series if known is None else Series(series.name, known.labels, samples)

    def end(self, minute: float, owners: Iterable[str], tenant: str = "", *, back: float | None = None) -> None:
        """What the owners export of the tenant, or of everything, ends at a minute; at `back` it is there again."""
        until = self.until + 1 if back is None else back
        for key, series in self._series.items():
            if series.labels["job"] in owners and tenant in ("", series.labels["namespace"]):
                self._series[key] = Series(series.name, series.labels, without(series.samples, minute, until, STALE))

    def steady(self, value: float) -> Samples:
        """The same all the time."""
        return steps(self.until, (0, value))

    def since(self, minute: float, value: float, before: float = 0) -> Samples:
        """One value before a minute, another one from it on."""
        return steps(self.until, (0, before), (minute, value))

    def growing(self, minute: float, per_minute: float) -> Samples:
        """A counter that grows from a minute on."""
        return counting(self.until, (0, 0), (minute, per_minute))

    def waited(self, minute: float) -> Samples:
        """The seconds since a minute, 0 before."""
        return mapped(self.steady(0), lambda _, second: max(0.0, second - minute * 60))

    def _add(self, job: str, *series: Series) -> None:
        for each in series:
            owned = each if each.labels["job"] == job else Series(each.name, {**each.labels, "job": job}, each.samples)
            self._series[_key(owned)] = owned

    def _manager(self) -> None:
        zero, one = self.steady(0), self.steady(1)
        platform = {"namespace": PLATFORM}
        self._add(
            "manager",
            of(m.BUILD_INFO, one, component=m.Component.MANAGER.value, **platform),
            of(m.MANAGED_GATEWAYS, self.steady(len(TENANTS)), **platform),
            of(m.EVENT_LOOP_LAG, zero, **platform),
            of(m.RECONCILE_ERRORS, zero, controller="gateway", resource="ActionsGateway", **platform),
            of(m.RECONCILE_FAILING_OBJECTS, zero, controller="gateway", **platform),
            of(m.GATEWAYS_CREATED, zero, **platform),
            of(m.ROLLOUT_WAITING, zero, **platform),
        )

    def _told(self, tenant: str) -> None:
        zero, one = self.steady(0), self.steady(1)
        ns = {"namespace": tenant}
        conditions = [("ActionsGateway", "Ready", 1), *(
            ("ActionsGateway", kind, 0) for kind in ("RateLimited", "Paused", "Degraded", "CredentialUnavailable")
        )]  # fmt: skip
        self._add(
            "manager",
            of(m.EXPECTED_SESSIONS, one, **ns),
            of(m.EXPECTED_AGENTS, one, **ns),
            of(m.EXPECTED_PROXIES, self.steady(2), **ns),
            of(m.PROXY_READY_REPLICAS, self.steady(2), **ns),
            of(m.PROXY_HPA_METRIC_AVAILABLE, one, **ns),
            of(m.PROXY_QUOTA_EXCEEDED, zero, **ns),
            of(m.QUOTA_HARD, self.steady(10), key="requests.cpu", **ns),
            of(m.QUOTA_USED, self.steady(4), key="requests.cpu", **ns),
            of(m.CREDENTIAL_REFERENCED, one, **ns),
            *(of(m.AGENT_TERMINATIONS, zero, reason=reason, **ns) for reason in ("OOMKilled", "Error", "Completed")),
            *(of(m.CONDITION, self.steady(value), kind=kind, type=type_, status="True", **ns)
              for kind, type_, value in conditions),
        )  # fmt: skip

    def _agent(self, tenant: str) -> None:
        zero, one = self.steady(0), self.steady(1)
        ns = {"namespace": tenant}
        jobs = counting(self.until, (0, JOBS_PER_MINUTE))
        counters = (
            m.MESSAGE_POLL_ERRORS, m.AGENT_RECYCLE_ERRORS, m.EVICTION_RETRIES_EXHAUSTED, m.QUOTA_RETRIES_EXHAUSTED,
            m.RENEWJOB_ERRORS, m.TOKEN_REFRESH_ERRORS,
        )  # fmt: skip
        self._add(
            "agent",
            of(m.BUILD_INFO, one, component=m.Component.AGENT.value, **ns),
            of(m.EVENT_LOOP_LAG, zero, **ns),
            of(m.ACTIVE_SESSIONS, self.steady(3), **ns),
            of(m.LAST_POLL_TIMESTAMP, mapped(zero, lambda _, second: second - 20), **ns),
            of(m.LISTENER_SLOTS, self.steady(3), state="polling", **ns),
            *(of(metric, zero, **ns) for metric in counters),
            of(m.JOBS_ACQUIRED, jobs, **ns),
            of(m.JOB_ACQUISITION_ERRORS, zero, reason="other", **ns),
            *(of(m.OLDEST_WAITING_JOB, zero, reason=reason, **ns) for reason in ("ceiling", "quota", "claim", "start")),
            *histogram({m.POD_CREATION_LATENCY.buckets[0]: jobs}, **ns),
            of(m.JOB_DURATION, jobs, "_count", **ns),
            of(m.WORKER_QUOTA_EXCEEDED, zero, **ns),
            of(m.WORKER_PODS_REAPED, zero, reason="pending_deadline", **ns),
            of(m.EVICTION_RETRIES, zero, cause="eviction", **ns),
            of(m.RENEW_JOB_TEARDOWNS, zero, reason="lock_expired", **ns),
            of(m.LOCK_REMAINING, self.steady(580), **ns),
            of(m.TOKEN_EXPIRY_TIMESTAMP, mapped(zero, lambda _, second: second + 2400), **ns),
            of(m.GITHUB_REQUESTS, counting(self.until, (0, 4)), endpoint="poll", code_class="2xx", **ns),
            of(m.GITHUB_REQUESTS, zero, endpoint="poll", code_class="error", **ns),
            of(m.GITHUB_REQUESTS, zero, endpoint="token", code_class="4xx", **ns),
            of(m.GITHUB_RATE_LIMIT_LIMIT, self.steady(5000), **ns),
            of(m.GITHUB_RATE_LIMIT_REMAINING, self.steady(4900), **ns),
            of(m.RATE_LIMITED_SINCE, zero, **ns),
            of(m.RUNNER_VERSION_RELEASED, one, version="2.330.0", **ns),
        )

    def _proxy(self, tenant: str) -> None:
        zero = self.steady(0)
        ns = {"namespace": tenant}
        self._add(
            "proxy",
            of(foreign.PROXY_LIVE, self.steady(1), **ns),
            of(foreign.TUNNELS, self.steady(5), **ns),
            of(foreign.RECEIVED_BYTES, counting(self.until, (0, 60_000)), **ns),
            of(foreign.CONNECT_FAILURES, zero, **ns),
            of(foreign.BREAKER_OPEN, zero, **ns),
            of(foreign.DENIED, zero, **ns),
            of(foreign.LIFETIME_REACHED, zero, **ns),
        )


def _key(series: Series) -> tuple[str, ...]:
    """Who exports it does not tell series apart here."""
    return (series.name, *(f"{name}={value}" for name, value in sorted(series.labels.items()) if name != "job"))
