"""What every job task of the agent works with; composed once, in `agent.run`."""

from dataclasses import dataclass

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.pods import WorkerPods
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.recovery.repositories import SeenRepositories
from actions_gateway.agent.recovery.rerunning import Reruns
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder


@dataclass(frozen=True, slots=True)
class JobServices:
    """Shared by all groups."""

    basics: Basics
    client: KubeClient
    pods: WorkerPods
    slots: Slots
    plans: Plans
    reruns: Reruns
    repositories: SeenRepositories
    headroom: Headroom
    site: WorkerSite
    events: EventRecorder
