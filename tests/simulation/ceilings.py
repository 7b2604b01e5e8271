"""No more workers of a group than its bound allowed when the latest of their jobs was claimed.

A claim takes a place, and a lowered bound takes none back: what is judged of a new pod is therefore the bound at the
latest claim among the group's live pods, by when every one of them had its place.
"""

from typing import TYPE_CHECKING

from actions_gateway.api import labels
from actions_gateway.api.names import worker_pod_name
from gateway_sandbox.github.models import Delivery
from simulation.cluster import Event, Json

if TYPE_CHECKING:
    from simulation.world import World

_NEWS_SECONDS = 10.0
"""A new bound may reach the agent so much before a claim that it began under the old one."""
_FAULTY_NEWS_SECONDS = {"github_faults": 150.0, "kube_faults": 400.0}
"""With claims that are answered at the third try, and with watches that stay silent and are begun anew."""


class Ceilings:
    """The bounds of one world's groups, and what was claimed under them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._bounds: dict[str, list[tuple[float, int]]] = {}
        self.claims: dict[str, float] = {}
        """When the job behind a pod's name was claimed first."""
        self._noted: set[Delivery] = set()
        self._cut: set[str] = set()
        """Slots, by uid, whose claim another agent has to finish; its job is taken over whatever the bound says."""

    def note_claims(self) -> None:
        """Looks for jobs that were claimed since."""
        for job in self._world.github.jobs():
            for delivery in job.deliveries:
                if delivery.token and delivery not in self._noted:
                    self._noted.add(delivery)
                    self.claims.setdefault(pod_name_of(delivery), self._world.loop.time())

    def note_cuts(self) -> None:
        """An agent ends or begins: what claims stand open now?"""
        for secret in self._world.cluster.all("secrets"):
            if "payload" not in (secret.get("data") or {}):
                self._cut.add(secret["metadata"]["uid"])

    def changed(self, event: Event) -> list[str]:
        """A group's bound, or a pod that is one too many."""
        metadata = event.object["metadata"]
        if event.plural == "runnergroups":
            bound = 0 if event.type == "DELETED" else ceiling(event.object["spec"])
            history = self._bounds.setdefault(metadata["name"], [])
            if not history or history[-1][1] != bound:
                history.append((self._world.loop.time(), bound))
        elif event.plural == "pods" and event.type == "ADDED":
            return self._check(metadata["labels"][labels.RUNNER_GROUP])
        return []

    def _check(self, group: str) -> list[str]:
        world = self._world
        counted = [
            pod["metadata"]["name"]
            for pod in world.cluster.all("pods")
            if is_live(pod)
            and pod["metadata"]["labels"][labels.RUNNER_GROUP] == group
            and pod["metadata"]["annotations"].get(labels.SLOT_UID) not in self._cut
        ]
        if not counted:
            return []
        latest = max(self.claims.get(name, world.loop.time()) for name in counted)
        allowed = self._bound_at(group, latest)
        if world.profile.two_agents:
            # Another agent may claim as many as it has sessions before it hears of this one's pods.
            specs = [one["spec"] for one in world.groups() if one["metadata"]["name"] == group]
            allowed += max((int(spec.get("maxListeners", 1)) for spec in specs), default=1)
        return [f"{group} has {len(counted)} workers, {allowed} are allowed"] if len(counted) > allowed else []

    def _bound_at(self, group: str, moment: float) -> int:
        """The highest bound that an agent may have gone by."""
        slow = [seconds for name, seconds in _FAULTY_NEWS_SECONDS.items() if getattr(self._world.profile, name)]
        since = moment - max(slow, default=_NEWS_SECONDS)
        history = [one for one in self._bounds.get(group, []) if one[0] <= moment]
        before = [bound for at, bound in history if at <= since][-1:]
        return max([bound for at, bound in history if at > since] + before, default=0)


def ceiling(spec: Json) -> int:
    """The bound that a group's spec sets."""
    tiers = spec.get("priorityTiers") or []
    return int(spec.get("maxWorkers") or (tiers[-1]["threshold"] if tiers else spec.get("maxListeners", 1)))


def group_of(delivery: Delivery) -> str:
    """The group whose runner a delivery went to."""
    return delivery.runner.name.rsplit("-", 2)[0]


def pod_name_of(delivery: Delivery) -> str:
    """The pod that a delivery's job gets."""
    return worker_pod_name(group_of(delivery), delivery.job.plan_id)


def is_live(pod: Json) -> bool:
    """Whether a pod counts as a worker."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]
