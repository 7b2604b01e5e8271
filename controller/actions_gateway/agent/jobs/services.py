"""What every job task of the agent works with; composed once, in `agent.run`."""

from dataclasses import dataclass

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.pod import WorkerSite
from actions_gateway.agent.jobs.pods import WorkerPods
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder


@dataclass(frozen=True, slots=True)
class JobServices:
    """Shared by all groups."""

    basics: Basics
    client: KubeClient
    pods: WorkerPods
    slots: Slots
    plans: set[str]
    """The plans of the jobs in flight: one that GitHub delivers to several sessions has one plan and runs once."""
    site: WorkerSite
    events: EventRecorder
