"""Declared container ports get free ones, and what refers to them follows."""

import random
import socket
from typing import Any

import pytest

from gateway_sandbox.nodes.ports import PodPorts, PortAllocator

POD: dict[str, Any] = {
    "spec": {
        "initContainers": [{"name": "i"}],
        "containers": [
            {"name": "a", "ports": [{"name": "health", "containerPort": 8081}, {"containerPort": 9000}]},
            {"name": "b", "ports": [{"name": "metrics", "containerPort": 8443}]},
        ],
    }
}


def allocator() -> PortAllocator:
    return PortAllocator("127.0.0.1", random.Random(7))


def test_every_declared_port_gets_a_port_of_its_own() -> None:
    ports = allocator().allocate(POD)
    assert set(ports.numbers) == {8081, 9000, 8443}
    assert len(set(ports.numbers.values())) == 3
    assert ports.names == {"health": ports.numbers[8081], "metrics": ports.numbers[8443]}


def test_two_pods_never_share_a_port_until_one_is_released() -> None:
    pool = allocator()
    first, second = pool.allocate(POD), pool.allocate(POD)
    assert not set(first.numbers.values()) & set(second.numbers.values())


def test_a_port_in_use_by_somebody_else_is_passed_over() -> None:
    expected = allocator().allocate(POD)
    taken = expected.numbers[8081]
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        assert taken not in allocator().allocate(POD).numbers.values()


def test_published_ports_are_named_and_the_nameless_are_numbered() -> None:
    ports = PodPorts({8081: 20001, 9000: 20002}, {"health": 20001})
    assert ports.published() == {"health": 20001, "9000": 20002}


@pytest.mark.parametrize(("port", "real"), [("health", 20001), (8081, 20001), ("8081", 20001), (7777, 7777)], ids=str)
def test_a_probe_names_a_port_by_name_or_number(port: int | str, real: int) -> None:
    assert PodPorts({8081: 20001}, {"health": 20001}).real(port) == real


def test_a_probe_of_an_unknown_port_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        PodPorts({8081: 20001}, {"health": 20001}).real("metrics")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        pytest.param("HEALTH_PORT", "8081", "20001", id="a port variable with a declared port follows"),
        pytest.param("HEALTH_PORT", "9999", "9999", id="an undeclared port stays"),
        pytest.param("WORKERS", "8081", "8081", id="another variable with the same number stays"),
        pytest.param("HEALTH_PORT", ":8081", ":8081", id="an address is no port"),
    ],
)
def test_port_variables_follow_the_real_port(variable: str, value: str, expected: str) -> None:
    assert PodPorts({8081: 20001}).rewrite_value(variable, value) == expected
