"""What every job task of the agent works with; composed once, in `agent.run`."""

import random
from dataclasses import dataclass

from actions_gateway.agent.jobs.plans import PlanClaims
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.pods import WorkerPods
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.tunables import Tunables
from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder
from actions_gateway.metrics.registry import Metrics


@dataclass(frozen=True, slots=True)
class JobServices:
    """Shared by all groups."""

    client: KubeClient
    pods: WorkerPods
    slots: Slots
    plans: PlanClaims
    site: WorkerSite
    events: EventRecorder
    metrics: Metrics
    clock: Clock
    rng: random.Random
    tunables: Tunables
