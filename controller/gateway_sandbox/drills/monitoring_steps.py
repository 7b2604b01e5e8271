"""What drills do to Prometheus and Alertmanager, as steps: they stand still, and forget what a drill has counted."""

from dataclasses import dataclass
from pathlib import Path

import aiohttp

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT
from actions_gateway.kube import resources as r
from actions_gateway.metrics.catalog import EVICTION_RETRIES_EXHAUSTED
from gateway_sandbox.drills.site import Site
from gateway_sandbox.drills.steps import Step
from gateway_sandbox.monitoring.programs import PROGRAMS, PROMETHEUS
from gateway_sandbox.monitoring.stack import held_marker

_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Stop(Step):
    """A monitoring program stands still."""

    program: str

    async def way_back(self, site: Site) -> Step | None:
        return Go(self.program)

    async def act(self, site: Site) -> None:
        _marker(site, self.program).touch()


@dataclass(frozen=True, slots=True)
class Go(Step):
    """It runs again."""

    program: str

    async def act(self, site: Site) -> None:
        _marker(site, self.program).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Uncount(Step):
    """Prometheus forgets the jobs of a tenant that used up their reruns.

    The ledger forgets a drill's jobs, and a count that it cannot explain would be a problem for a day.
    Source: Prometheus documentation, "TSDB Admin APIs".
    """

    namespace: str

    async def act(self, site: Site) -> None:
        return None

    async def settle(self, site: Site) -> bool:
        """Whether it has forgotten; not before the agent that counted is gone, which would be scraped once more."""
        pods = await site.client.list(r.PODS, self.namespace, label_selector=f"{labels.APP}={AGENT}")
        if any(pod["metadata"].get("deletionTimestamp") for pod in pods.items):
            return False
        url = site.monitoring_urls.get(PROMETHEUS.name)
        if not url or not (await site.listening()).get(PROMETHEUS.name):
            return True
        series = f'{{__name__="{EVICTION_RETRIES_EXHAUSTED.name}",namespace="{self.namespace}"}}'
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(f"{url}/api/v1/admin/tsdb/delete_series", params={"match[]": series}) as answer,
            ):
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            return False


def _marker(site: Site, name: str) -> Path:
    assert site.monitoring_folder is not None, "a plan that stops a program has looked for it"
    return held_marker(site.monitoring_folder, next(program for program in PROGRAMS if program.name == name))
