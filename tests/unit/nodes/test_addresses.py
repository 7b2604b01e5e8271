"""Addresses of pods: one each, of the node's range."""

import pytest

from gateway_sandbox.nodes.addresses import PodAddresses


def test_each_pod_gets_its_own_and_the_first_belongs_to_the_node() -> None:
    addresses = PodAddresses("10.244.0.0/29")
    assert [addresses.take() for _ in range(3)] == ["10.244.0.2", "10.244.0.3", "10.244.0.4"]


def test_an_address_that_was_returned_comes_last() -> None:
    addresses = PodAddresses("10.244.0.0/29")
    addresses.give_back(addresses.take())
    assert [addresses.take() for _ in range(5)] == [f"10.244.0.{number}" for number in (3, 4, 5, 6, 2)]


def test_a_pod_that_had_one_before_keeps_it_while_it_is_free() -> None:
    addresses = PodAddresses("10.244.0.0/29")
    assert addresses.take("10.244.0.5") == "10.244.0.5"
    assert addresses.take("10.244.0.5") == "10.244.0.2"
    assert addresses.take("192.168.0.1") == "10.244.0.3"


def test_a_range_that_is_used_up_says_so() -> None:
    addresses = PodAddresses("10.244.0.0/30")
    addresses.take()
    with pytest.raises(OSError, match="no free address"):
        addresses.take()
