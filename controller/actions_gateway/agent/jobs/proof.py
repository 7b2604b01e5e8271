"""Whether the API server would admit a group's workers, asked before a job depends on it.

A template passes our own checks and is refused all the same: by the pod's validation, Pod Security, a policy, a limit
range, a priority class that does not exist. The built pod itself is the proof: a creation as server-side dry run goes
through all of them and leaves nothing (Kubernetes documentation, "API Concepts: Dry-run").
"""

import json
import re
from collections.abc import Callable
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics, Group
from actions_gateway.agent.jobs.pod import WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.agent.signals import Signal, first_of
from actions_gateway.api.names import job_slot_name, worker_pod_name
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import (
    AlreadyExists,
    Forbidden,
    Invalid,
    KubeError,
    NamespaceTerminating,
    QuotaExceeded,
)
from actions_gateway.kube.resources import PODS

log = structlog.get_logger(__name__)

_PLAN = "template proof"
_ADMISSIBLE = (QuotaExceeded, NamespaceTerminating, AlreadyExists)
"""Refusals that say nothing against the template: it passed everything that is asked before them."""
_NO_DRY_RUN = "does not support dry run"
"""A webhook with side effects keeps the API server from answering (kubernetes/apiserver `pkg/admission/plugin/webhook/
errors/statuserror.go`, NewDryRunUnsupportedErr)."""

_SUBJECT = re.compile(r'\Apods? "[^"]*" is (invalid|forbidden): ', re.IGNORECASE)
_CONTAINER = re.compile(r"\bspec\.(containers|initContainers)\[(\d+)\]")


async def prove(client: KubeClient, settings: GroupSettings, site: WorkerSite, *, group: str, group_uid: str) -> str:
    """What keeps the group's workers from being admitted, with the field; empty when nothing does.

    Raises KubeError when the answer says nothing about the template. Asks once for each of the tiers' classes.
    """
    for pod in _pods(settings, site, group, group_uid):
        try:
            await client.create(PODS, pod, dry_run=True)
        except _ADMISSIBLE:
            continue
        except (Forbidden, Invalid) as problem:
            if _NO_DRY_RUN not in problem.message:
                return _of_the_template(problem.message, pod["spec"])
    return ""


def _pods(settings: GroupSettings, site: WorkerSite, group: str, group_uid: str) -> list[dict[str, Any]]:
    """A worker of each priority class that the group uses."""
    classes = dict.fromkeys(tier.priority_class_name for tier in settings.priority_tiers or [])
    orders = [
        WorkerOrder(
            name=worker_pod_name(group, _PLAN),
            group=group,
            group_uid=group_uid,
            slot=job_slot_name(1),
            slot_uid=group_uid,
            priority_class=priority_class,
            annotations={},
        )
        for priority_class in classes or (None,)
    ]
    return [build_worker_pod(order, settings, site) for order in orders]


def _of_the_template(message: str, spec: dict[str, Any]) -> str:
    """The API server's words without the pod's name, and with containers by name: the gateway adds some of its own."""

    def by_name(match: re.Match[str]) -> str:
        containers, number = spec[match[1]], int(match[2])
        name = containers[number].get("name") if number < len(containers) else None
        return f"spec.{match[1]}[{name or number}]"

    return _CONTAINER.sub(by_name, _SUBJECT.sub("", message))


class TemplateProof:
    """Keeps `problem` true to the group's current settings: one question per change, and again while it is refused."""

    def __init__(
        self, group: Group, client: KubeClient, site: WorkerSite, basics: Basics, *, on_change: Callable[[], None]
    ) -> None:
        self._group = group
        self._client = client
        self._site = site
        self._basics = basics
        self._on_change = on_change
        self._changed = Signal()
        self._asked = ""
        """The pods that were last asked about, as text."""
        self._failures = 0
        """How often in a row they were refused, or no answer came; 0 when they are admitted."""
        self.problem = ""
        """Why the API server refuses workers of these settings; empty while it admits them, or has not answered."""

    def changed(self) -> None:
        """The group's settings may be others."""
        self._changed.notify()

    async def run(self) -> None:
        """Asks whenever there is something to ask, until it is cancelled."""
        while True:
            changed = self._changed.next
            settings, site, group = self._group.settings, self._site, self._group
            pods = json.dumps(_pods(settings, site, group.name, group.uid), sort_keys=True, default=str)
            if pods != self._asked:
                self._asked, self._failures = pods, 0
            elif self._failures == 0:
                await changed.wait()
                continue
            wished = await self._ask(settings)
            if self._failures:
                backoff, rng = self._basics.tunables.proof_backoff, self._basics.rng
                delay = backoff.delay_seconds(self._failures, rng, asked_seconds=wished)
                await first_of(changed.wait(), self._basics.clock.sleep(delay))

    async def _ask(self, settings: GroupSettings) -> float | None:
        """Takes the answer over; what the API server asked to wait when it gave none."""
        group = self._group
        try:
            problem = await prove(self._client, settings, self._site, group=group.name, group_uid=group.uid)
        except KubeError as failure:
            self._failures += 1
            log.warning("worker's template not proved", runner_group=group.name, problem=failure.message)
            return failure.retry_after_seconds
        self._failures = self._failures + 1 if problem else 0
        if problem != self.problem:
            self.problem = problem
            log.info("worker's template judged", runner_group=group.name, problem=problem)
            self._on_change()
        return None
