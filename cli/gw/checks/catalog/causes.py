"""What stands behind a symptom: the report that an agent makes now, and the check that names the cause of a silence.

A condition is as old as its writer: what an agent said before it died says nothing of now, and what a manager folded up
before it stopped neither. So a judgement rests on the pods that run, and on the agent's own words where they exist.
"""

from collections import Counter, defaultdict
from functools import cached_property

from actions_gateway.api.conditions import NO_ANSWER, ConditionStatus, ConditionType, Reason
from gw.sources.facts import Facts
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.pods import PodRole

_WORST_FIRST = (ConditionStatus.TRUE.value, ConditionStatus.UNKNOWN.value, ConditionStatus.FALSE.value)


class Reports:
    """The facts of one look by tenant, counted once; reads pods and groups only when they are asked for."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def ready_pods(self, namespace: str, role: PodRole) -> int:
        """How many pods of that role serve now, whatever any condition says."""
        return self._ready[namespace, role]

    def has_agent(self, namespace: str) -> bool:
        """Whether an agent is there to report."""
        return self.ready_pods(namespace, PodRole.AGENT) > 0

    def gateway_of(self, group: GroupFact) -> GatewayFact | None:
        """The group's gateway."""
        return self._gateways.get((group.namespace, group.gateway))

    def groups_of(self, gateway: GatewayFact) -> list[GroupFact]:
        """The gateway's groups."""
        return self._groups.get((gateway.namespace, gateway.name), [])

    def latest(self, gateway: GatewayFact, kind: ConditionType) -> ConditionFact | None:
        """The worst that the agent says of any group; what the manager made of it when the groups say nothing.

        Among reports that are equally bad, one that has news goes before one that has none.
        """
        entries = [group.condition(kind) for group in self.groups_of(gateway)]
        known = [entry for entry in entries if entry is not None and entry.reason != Reason.CREDENTIAL_UNKNOWN]
        known = [entry for entry in known if entry.status in _WORST_FIRST]
        if not known:
            return gateway.condition(kind)
        return min(
            known, key=lambda entry: (_WORST_FIRST.index(entry.status), entry.reason == Reason.CREDENTIAL_AVAILABLE)
        )

    def cause_of_silence(self, group: GroupFact) -> str:
        """The check that explains why a group takes no jobs, the nearest to the root first; empty when none does."""
        credential = group.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
        if not self.has_agent(group.namespace):
            return "agent.available"
        if not self.ready_pods(group.namespace, PodRole.PROXY):
            return "gateway.proxy"
        if unanswered(group) or (credential is not None and credential.reason == Reason.GITHUB_UNREACHABLE):
            return "github.reachable"
        if credential is not None and credential.is_true and credential.reason != Reason.EDITED_SECRET_UNUSABLE:
            return "credential.available"
        for kind, check_id in (
            (ConditionType.RUNNER_VERSION_TOO_OLD, "runner.version"),
            (ConditionType.RATE_LIMITED, "gateway.rate-limit"),
        ):
            if (entry := group.condition(kind)) is not None and entry.is_true:
                return check_id
        return ""

    @cached_property
    def _ready(self) -> Counter[tuple[str, PodRole]]:
        return Counter((pod.namespace, pod.role) for pod in self._facts.pods.value if pod.is_ready)

    @cached_property
    def _gateways(self) -> dict[tuple[str, str], GatewayFact]:
        return {(gateway.namespace, gateway.name): gateway for gateway in self._facts.gateways.value}

    @cached_property
    def _groups(self) -> dict[tuple[str, str], list[GroupFact]]:
        groups: dict[tuple[str, str], list[GroupFact]] = defaultdict(list)
        for group in self._facts.groups.value:
            groups[group.namespace, group.gateway].append(group)
        return groups


def unanswered(group: GroupFact) -> ConditionFact | None:
    """The group's Ready condition when it has no session since GitHub gives no answer."""
    ready = group.condition(ConditionType.READY)
    is_deaf = ready is not None and not ready.is_true and ready.reason == Reason.NO_ACTIVE_SESSIONS
    return ready if ready is not None and is_deaf and NO_ANSWER in ready.message else None


def look(namespace: str, *check_ids: str) -> str:
    """The command that goes on with these checks of a tenant."""
    return f"gw health {namespace} " + " ".join(f"--check {check_id}" for check_id in check_ids)
