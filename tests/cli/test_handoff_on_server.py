"""gw handoff on the embedded API server: managedFields, reviews of oneself and records as that one serves them."""

import json
from typing import Any

import pytest

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.kube import resources as r

from .objects import gateway
from .rig import Answer, Gw, PresentClock
from .servers import Servers


@pytest.fixture
def served(servers: Servers) -> Servers:
    """One tenant, and the manager's namespace."""
    for name in ("team-a", MANAGER_NAMESPACE):
        servers.put(r.NAMESPACES, {"metadata": {"name": name}})
    made = gateway()
    servers.put(r.ACTIONSGATEWAYS, {"metadata": {"name": "team-a", "namespace": "team-a"}, "spec": made["spec"]})
    return servers


def test_a_hand_over_is_signed_kept_and_compared_with(served: Servers) -> None:
    gw = Gw(real_cluster=True, clock=PresentClock())

    def handoff(*arguments: str) -> Answer:
        return gw("handoff", *arguments, "--kubeconfig", str(served.kubeconfig))

    answer = handoff("--sign", "--to", "bob")
    assert answer.code in (1, 3), answer
    assert "Handed over by test-admin to bob at " in answer.out
    found: Any = json.loads(handoff("-o", "json").out)
    assert found["difference"]["last"]["by"] == "test-admin"
    (made,) = found["changes"]["specs"]["entries"]
    assert (made["subject"], made["what"], made["by"]) == ("team-a/team-a", "made", "test")
    assert [name for name in served.names(r.CONFIGMAPS, MANAGER_NAMESPACE) if name.startswith("handover-")] == [
        found["difference"]["last"]["record"]
    ]
