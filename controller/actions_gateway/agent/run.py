"""Composition of the agent: what is made once, which tasks run, and in which order they stop.

Time, randomness, the Kubernetes client and GitHub's transport come from outside, so that the whole agent can run on
another clock against doubles in memory; `Agent` opens no socket and reads no environment.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import structlog

from actions_gateway import __version__
from actions_gateway.agent.adoption.adopter import Adopter
from actions_gateway.agent.adoption.claims import CutClaims
from actions_gateway.agent.basics import Basics
from actions_gateway.agent.health import Health
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.pods import WorkerPods
from actions_gateway.agent.jobs.reaping import Reaper
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.recovery.repositories import SeenRepositories
from actions_gateway.agent.recovery.rerunning import Reruns
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.registrations.strays import look_for_strays
from actions_gateway.agent.runnergroups.units import GroupUnits
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.signals import within
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import AGENT
from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.github.answers import Answer, RateLimit
from actions_gateway.github.broker import Broker, RunnerPlatform
from actions_gateway.github.budgets import Budgets, Priority
from actions_gateway.github.http import Api, Endpoint, GitHubHttp, OnAnswer, answer_class, code_class
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.runs import GitHubRuns
from actions_gateway.github.runservice import RunService
from actions_gateway.github.urls import scope_of
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder
from actions_gateway.metrics.catalog import (
    GITHUB_BUDGET_WAIT_SECONDS,
    GITHUB_BUDGET_WAITING,
    GITHUB_RATE_LIMIT_LIMIT,
    GITHUB_RATE_LIMIT_REMAINING,
    GITHUB_REQUESTS,
    KUBE_REQUESTS,
    RUNNER_VERSION_RELEASED,
    Component,
)
from actions_gateway.metrics.registry import Metrics
from actions_gateway.metrics.server import serve_exposition
from actions_gateway.settings import AgentSettings

log = structlog.get_logger(__name__)

OpenHttp = Callable[[OnAnswer], GitHubHttp]
"""How GitHub is reached, when not over the network: a client that tells its answers."""

_STATUS_WORKERS = 4
_RENEWALS_AT_ONCE = 64


async def run_agent(
    settings: AgentSettings,
    *,
    client: KubeClient,
    clock: Clock,
    rng: random.Random,
    open_http: OpenHttp | None = None,
    tunables: Tunables | None = None,
) -> None:
    """Runs the agent with its probes and metrics until cancelled, then closes its sessions.

    Raises ValueError when the GitHub URL or the CA bundle is unusable.
    """
    metrics = Metrics(Component.AGENT, __version__)
    agent = Agent(
        settings,
        client=client,
        clock=clock,
        rng=rng,
        metrics=metrics,
        open_http=open_http,
        tunables=tunables or Tunables(),
    )
    async with serve_exposition(
        metrics,
        host=settings.bind_address,
        health_port=settings.health_port,
        metrics_port=settings.metrics_port,
        is_alive=agent.health.is_alive,
        is_ready=agent.health.is_ready,
    ):
        await agent.run()


class Agent:
    """One tenant's agent."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        client: KubeClient,
        clock: Clock,
        rng: random.Random,
        metrics: Metrics,
        tunables: Tunables,
        open_http: OpenHttp | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._basics = Basics(settings.namespace, settings.pod_name, clock, rng, metrics, tunables)
        scope = scope_of(settings.github_url)
        self._http = (open_http or self._over_the_network)(self._count_answer)
        self._platform = RunnerPlatform(settings.runner_version)
        self._run_service = RunService(self._http, self._platform)
        limits = replace(tunables.github_limits, share=tunables.github_limits.share * settings.github_budget_share)
        self._budgets = Budgets(clock, limits, on_wait=self._count_wait, on_hour=self._show_hour)
        self._rest = GitHubRest(self._http, scope, clock, self._budgets)
        self._tokens = InstallationTokens(
            self._rest, scope, settings.github_app_path, self._basics, on_change=self._credential_changed
        )
        self._units: GroupUnits | None = None
        self.health = Health(metrics, clock)
        metrics.open(namespace=settings.namespace)
        if settings.runner_released is not None:
            metrics.set(RUNNER_VERSION_RELEASED, settings.runner_released.timestamp(), version=settings.runner_version)
        client.on_answer = self._count_kube_answer

    def _over_the_network(self, on_answer: OnAnswer) -> GitHubHttp:
        settings = self._settings
        return GitHubHttp(
            self._basics.clock, ca_bundle=settings.ca_bundle_path, proxy=settings.github_proxy, on_answer=on_answer
        )

    async def run(self) -> None:
        """Serves the tenant's groups until cancelled; then closes sessions, keeps the locks, and ends."""
        async with self._http, asyncio.TaskGroup() as tasks:
            services = self._job_services()
            registrar = Registrar(self._rest, self._tokens, self._basics, self._budgets)
            adopter = self._adopter(services, registrar, tasks)
            parts = self._session_parts(services, registrar, adopter)
            units = self._units = GroupUnits(
                self._client, parts=parts, services=services, tasks=tasks, adopt=adopter.adopt_all
            )
            reaper = Reaper(self._client, services, group_of=units.by_name, has_read=adopter.has_read)
            self.health.ready_when(lambda: units.are_reported)
            run_forever(tasks, self.health.heartbeat.run(), name="heartbeat")
            run_forever(tasks, self._tokens.run(), name="installation token")
            run_forever(tasks, self._tokens.watch_edits(), name="edits of the Secret")
            run_forever(tasks, parts.registrar.run(), name="registrations to remove")
            strays = look_for_strays(registrar, self._rest, self._tokens, self._basics)
            run_forever(tasks, strays, name="registrations without an owner")
            run_forever(tasks, services.pods.run(), name="worker pods")
            run_forever(tasks, services.headroom.run(), name="quotas")
            run_forever(tasks, services.plans.run(), name="duplicate deliveries")
            run_forever(tasks, services.reruns.run(), name="reruns")
            run_forever(tasks, services.repositories.run(), name="repositories seen")
            run_forever(tasks, units.follow(), name="runner groups")
            run_forever(tasks, units.report_gauges(), name="gauges")
            run_forever(tasks, reaper.run(), name="reaper")
            for number in range(_STATUS_WORKERS):
                run_forever(tasks, units.write_statuses(), name=f"statuses {number}")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await self._stop(units, parts.registrar)

    def _adopter(self, services: JobServices, registrar: Registrar, tasks: asyncio.TaskGroup) -> Adopter:
        return Adopter(
            services,
            CutClaims(self._http, self._run_service, services.reruns, self._basics),
            self._run_service,
            registrar,
            group_of=lambda uid: self._units.by_uid(uid) if self._units is not None else None,
            tasks=tasks,
        )

    def _job_services(self) -> JobServices:
        settings = self._settings
        events = EventRecorder(self._client, self._basics.clock, component=AGENT, instance=settings.pod_name)
        ledger, slots = LedgerStore(self._client, self._basics), Slots(self._client, self._basics)
        return JobServices(
            basics=self._basics,
            client=self._client,
            pods=WorkerPods(self._client, self._basics),
            slots=slots,
            plans=Plans(self._basics, slots),
            reruns=Reruns(GitHubRuns(self._rest), self._tokens, ledger, events, self._basics),
            repositories=SeenRepositories(ledger, self._basics.clock, only=scope_of(settings.github_url).repository),
            headroom=Headroom(self._client, self._basics),
            site=WorkerSite(
                namespace=settings.namespace,
                wrapper_image=settings.wrapper_image,
                worker_image=settings.worker_image,
                service_account=settings.worker_service_account,
                profile=SecurityProfile(settings.security_profile),
                ca_configmap=settings.ca_bundle_configmap,
                ca_key=settings.ca_bundle_key,
                proxy=settings.github_proxy,
                no_proxy=settings.worker_no_proxy,
            ),
            events=events,
        )

    def _session_parts(self, services: JobServices, registrar: Registrar, adopter: Adopter) -> SessionParts:
        return SessionParts(
            basics=self._basics,
            http=self._http,
            broker=Broker(self._http, self._platform),
            run_service=self._run_service,
            tokens=self._tokens,
            registrar=registrar,
            slots=services.slots,
            plans=services.plans,
            look_for=adopter.look_for,
            health=self.health,
        )

    # -- stop ----------------------------------------------------------------------------------------------------

    async def _stop(self, units: GroupUnits, registrar: Registrar) -> None:
        """Intake first: no claim is begun, those begun are carried to their pods, and every lock gets its full life."""
        self.health.is_stopping = True
        if not await within(self._basics.tunables.close_sessions_seconds, units.close(), self._basics.clock):
            log.warning("not all sessions were closed in time")
        jobs = [job for unit in units.all() for job in unit.jobs]
        if not await within(self._basics.tunables.final_renewals_seconds, _renew(jobs), self._basics.clock):
            log.warning("not all locks were renewed in time")
        if not await within(self._basics.tunables.final_removals_seconds, registrar.settle(), self._basics.clock):
            log.warning("not all registrations were removed in time")
        await within(self._basics.tunables.revoke_seconds, self._tokens.revoke(), self._basics.clock)
        log.info("agent stopped", jobs=len(jobs))

    # -- notices -------------------------------------------------------------------------------------------------

    def _count_answer(self, api: Api, endpoint: Endpoint, answer: Answer | None) -> None:
        metrics, namespace = self._basics.metrics, self._basics.namespace
        metrics.inc(GITHUB_REQUESTS, namespace=namespace, endpoint=endpoint.value, code_class=answer_class(answer))
        status = None if answer is None else answer.status
        log.debug("github answered", api=api.value, endpoint=endpoint.value, status=status)

    def _show_hour(self, budget: RateLimit) -> None:
        metrics, namespace = self._basics.metrics, self._basics.namespace
        metrics.set(GITHUB_RATE_LIMIT_LIMIT, budget.limit, namespace=namespace)
        metrics.set(GITHUB_RATE_LIMIT_REMAINING, budget.remaining, namespace=namespace)

    def _count_kube_answer(self, verb: str, status: int | None) -> None:
        namespace = self._basics.namespace
        self._basics.metrics.inc(KUBE_REQUESTS, namespace=namespace, verb=verb, code_class=code_class(status))

    def _count_wait(self, priority: Priority, waiting: int, waited_seconds: float) -> None:
        metrics, labels = self._basics.metrics, {"namespace": self._basics.namespace, "priority": priority.value}
        metrics.set(GITHUB_BUDGET_WAITING, waiting, **labels)
        metrics.inc(GITHUB_BUDGET_WAIT_SECONDS, waited_seconds, **labels)

    def _credential_changed(self) -> None:
        if self._units is not None:
            self._units.touch_all()


async def _renew(jobs: list[Job]) -> None:
    gate = asyncio.Semaphore(_RENEWALS_AT_ONCE)

    async def renew(job: Job) -> None:
        async with gate:
            if not job.has_ended:
                await job.renewal.renew_once()

    async with asyncio.TaskGroup() as tasks:
        for job in jobs:
            tasks.create_task(renew(job), name=f"last renewal {job.worker.name}")
