"""What contains a gateway beside, or without, everything else that would be wanted of it.

An incident waits neither for a corrected spec nor for the end of a deletion: agent at zero, policies without rules.
"""

from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager.gateway.agreement import agrees, replicas_of
from actions_gateway.manager.gateway.network import build_containing_policies
from actions_gateway.manager.gateway.ownership import sealed
from actions_gateway.manager.gateway.snapshot import ApplyChild, SetReplicas, Snapshot, Step


def decide_containment(snapshot: Snapshot) -> tuple[tuple[Step, ...], ...]:
    """What is left to do, traffic first; one stage, so that each step is tried whatever becomes of the others."""
    there = {manifest["metadata"]["name"]: manifest for manifest in snapshot.owned(NETWORKPOLICIES)}
    wanted = [sealed(made) for made in build_containing_policies(snapshot.gateway)]
    steps: list[Step] = [ApplyChild(NETWORKPOLICIES, made) for made in wanted if _differs(made, there)]
    agent = snapshot.agent
    if agent is not None and replicas_of(agent):
        steps.append(SetReplicas(str(agent["metadata"]["name"]), str(agent["metadata"]["uid"]), 0))
    return (tuple(steps),) if steps else ()


def _differs(made: Manifest, there: dict[str, Manifest]) -> bool:
    live = there.get(made["metadata"]["name"])
    return live is not None and "deletionTimestamp" not in live["metadata"] and not agrees(made, live)
