"""gw sandbox fault: faults are listed, brought in and taken back. No controller runs: only the objects are there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actions_gateway.kube import resources as r
from gateway_sandbox import launcher
from gateway_sandbox.faults import FAULTS

from .objects import gateway
from .rig import Answer, Gw
from .servers import Servers


@pytest.fixture
def fault(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> "Fault":
    monkeypatch.setattr(launcher, "read_info", lambda _: servers.info())
    for name in ("team-a", "kube-system"):
        servers.put(r.NAMESPACES, {"metadata": {"name": name}})
    return Fault(servers)


class Fault:
    """`gw sandbox fault` on the servers."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.gw = Gw(real_cluster=True)

    def __call__(self, *arguments: str) -> Answer:
        answer = self.gw("sandbox", "fault", *arguments)
        assert "Traceback" not in answer.err
        return answer

    @contextmanager
    def tenant(self, namespace: str = "team-a") -> Iterator[None]:
        made = gateway(namespace=namespace)
        metadata = {key: made["metadata"][key] for key in ("name", "namespace")}
        self.servers.put(r.ACTIONSGATEWAYS, {"metadata": metadata, "spec": made["spec"]})
        try:
            yield
        finally:
            client = self.servers.client
            self.servers.call(client.delete(r.ACTIONSGATEWAYS, metadata["name"], namespace=namespace))

    def quotas(self) -> list[str]:
        return self.servers.names(r.RESOURCEQUOTAS, "team-a")


def test_without_a_name_all_are_listed_with_where_they_are_in_force(fault: Fault) -> None:
    answer = fault()
    assert answer.code == 0, answer
    assert [line.split()[0] for line in answer.out.splitlines()[1:]] == [one.name for one in FAULTS]
    assert {line.split()[-1] for line in answer.out.splitlines()[1:]} == {"-"}


def test_a_fault_comes_once_and_goes_once(fault: Fault) -> None:
    with fault.tenant():
        first = fault("quota-full", "-o", "json")
        document = json.loads(first.out)
        assert (document["changed"], document["namespace"], document["undone"]) == (True, "team-a", False)
        assert document["expects"] == [{"check": "quota.headroom", "severity": "page"}]
        assert fault.quotas() == ["platform-quota"]
        listed = {one["name"]: one["in_force"] for one in json.loads(fault("-o", "json").out)["faults"]}
        assert [name for name, where in listed.items() if where] == ["quota-full"]
        again = fault("quota-full")
        assert "quota-full is in force in team-a already" in again.out
        gone = fault("quota-full", "--undo")
        assert gone.code == 0, gone
        assert "quota-full is taken back in team-a; nothing shows it any more" in gone.out
        assert fault.quotas() == []
        assert fault("quota-full", "--undo").out == "quota-full is not in force in team-a; nothing was changed.\n"


def test_a_fault_that_does_not_show_in_time_is_exit_5_and_can_be_taken_back(fault: Fault) -> None:
    with fault.tenant():
        answer = fault("stuck-deletion", "--timeout", "1s")
        assert answer.code == 2, answer
        assert "team-a has no proxy" in answer.err
        late = fault("rate-limit", "--timeout", "1s")
        assert late.code == 5
        assert "rate-limit is in force; it does not show yet" in late.out
        assert "gw sandbox fault" in late.err
        assert "rate-limit --undo" in late.err
        assert fault("rate-limit", "--undo").code == 0


def test_a_name_that_no_fault_has_is_refused_with_those_that_there_are(fault: Fault) -> None:
    answer = fault("gremlins")
    assert answer.code == 2
    assert answer.err.startswith("Error: there is no fault 'gremlins'.\nNext:  Name one of: wrong-key, ")


def test_two_tenants_have_to_be_told_apart(fault: Fault) -> None:
    fault.servers.put(r.NAMESPACES, {"metadata": {"name": "team-b"}})
    with fault.tenant(), fault.tenant("team-b"):
        answer = fault("quota-full")
    assert answer.code == 2
    assert "Name it with -n: team-a, team-b." in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--undo"], "no fault is named"),
        (["-n", "team-a"], "no fault is named"),
        (["clock-skew", "-n", "team-a"], "clock-skew is a fault of the whole cluster"),
        (["quota-full"], "the sandbox has no tenant"),
        (["quota-full", "-n", "nobody"], "nobody has no gateway"),
        (["prometheus-down"], "prometheus is not installed"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(fault: Fault, arguments: list[str], said: str) -> None:
    answer = fault(*arguments)
    assert answer.code == 2, answer
    assert said in answer.err
