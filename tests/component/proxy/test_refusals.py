"""What a real Envoy refuses: each with its answer and its count, by name first and by resolved address then."""

from pathlib import Path

import pytest

from actions_gateway.api import egress
from actions_gateway.proxy import rules
from actions_gateway.proxy.bootstrap import build_bootstrap
from support.aio import run
from support.envoy import running_envoy

from .scene import bootstrap, gateway, host, platform, proxy_to, proxy_with_names

OPEN, MALFORMED, FORBIDDEN, UNAVAILABLE = 200, 400, 403, 503

OUTSIDE_THE_LIST = (
    # the metadata service, a cluster IP, another host, another port
    "169.254.169.254:443",
    "10.96.0.1:443",
    "evil.example:443",
    "github.com:22",
    # spellings of what is on the list, and of what resembles it
    "github.com:0443",
    "github.com.:443",
    "notgithub.com:443",
    ".github.com:443",
    "github.com.evil.example:443",
    # spellings of an exception's address
    "2130706433:{port}",
    "0x7f000001:{port}",
    "0177.0.0.1:{port}",
    "127.1:{port}",
    "127.0.0.1.:{port}",
    "[::1]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::ffff:7f00:1]:{port}",
    # an exception's host on another port, and another address on its port
    "127.0.0.1:443",
    "127.0.0.2:{port}",
)
PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::7f00:1", "fd00::1", "fe80::1", "ff02::1",
    "64:ff9b::7f00:1", "2002:7f00:1::",
)  # fmt: skip
NOT_CONNECT = (
    "GET http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n",
    "GET http://github.com:443/ HTTP/1.1\r\nHost: github.com:443\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: github.com:443\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: github.com:443\r\nContent-Length: 0\r\n\r\n",
)


def test_a_name_outside_the_list_is_refused_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            authorities = [authority.format(port=there.port) for authority in OUTSIDE_THE_LIST]
            answers = {authority: (await proxy.connect(authority)).status for authority in authorities}
            assert answers == dict.fromkeys(authorities, FORBIDDEN)
            assert await proxy.egress("rbac_denied") == len(authorities)
            assert there.visits == 0

    run(scenario())


def test_anything_but_connect_is_refused_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            assert [(await proxy.send(request)).status for request in NOT_CONNECT] == [FORBIDDEN] * len(NOT_CONNECT)
            assert await proxy.egress("rbac_denied") == len(NOT_CONNECT)

    run(scenario())


def test_what_is_judged_is_the_target_and_not_the_host_header(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            disguised = "CONNECT 169.254.169.254:443 HTTP/1.1\r\nHost: github.com:443\r\n\r\n"
            assert (await proxy.send(disguised)).status == FORBIDDEN
            named_otherwise = f"CONNECT {there.authority} HTTP/1.1\r\nHost: 169.254.169.254:443\r\n\r\n"
            tunnel = await proxy.send(named_otherwise)
            assert await tunnel.ask(b"at the target") == b"at the target"

    run(scenario())


def test_a_malformed_authority_is_a_bad_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_envoy(bootstrap(), tmp_path) as proxy:
            for authority in ("github.com", "user@github.com:443"):
                assert (await proxy.connect(authority)).status == MALFORMED
            assert await proxy.egress("downstream_cx_protocol_error") == 2

    run(scenario())


def test_an_allowed_name_at_a_private_address_is_refused_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        records = {f"moved{number}.github.com": [address] for number, address in enumerate(PRIVATE)}
        async with proxy_with_names(records, tmp_path) as (proxy, _):
            answers = {records[name][0]: (await proxy.connect(f"{name}:443")).status for name in records}
            assert answers == dict.fromkeys(PRIVATE, FORBIDDEN)
            assert await proxy.egress("rbac_denied") == len(PRIVATE)
            assert await proxy.cluster("upstream_cx_total") == 0

    run(scenario())


def test_an_allowed_literal_of_a_private_address_is_refused_and_counted(tmp_path: Path) -> None:
    """A tenant may add any host to its list; it does not get an address with it."""

    async def scenario() -> None:
        async with running_envoy(bootstrap(allowedHosts=["127.0.0.1", "localhost"]), tmp_path) as proxy:
            assert (await proxy.connect("127.0.0.1:443")).status == FORBIDDEN
            assert (await proxy.connect("localhost:443")).status == FORBIDDEN
            assert await proxy.egress("rbac_denied") == 2

    run(scenario())


def test_an_exception_holds_for_its_name_its_range_and_its_port_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host("127.0.0.2") as inside, host("127.0.0.3", inside.port) as outside:
            port = inside.port
            exceptions = f"ghes.example=127.0.0.2/32:{port},moved.example=127.0.0.2/32:{port}"
            records = {"ghes.example": ["127.0.0.2"], "moved.example": ["127.0.0.3"], "a.github.com": ["127.0.0.2"]}
            async with proxy_with_names(records, tmp_path, exceptions) as (proxy, _):
                assert await (await proxy.connect(f"GHES.Example:{port}")).ask(b"inside") == b"inside"
                for authority in (f"moved.example:{port}", "ghes.example:443", "a.github.com:443"):
                    assert (await proxy.connect(authority)).status == FORBIDDEN
                assert await proxy.egress("rbac_denied") == 3
            assert (inside.visits, outside.visits) == (1, 0)

    run(scenario())


def test_an_exception_of_ipv6_holds_for_its_range(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host("::1") as inside:
            port = inside.port
            records = {"six.example": ["::1"], "other.example": ["::1"]}
            exceptions = f"six.example=[::1/128]:{port},other.example=[fd00::/8]:{port}"
            async with proxy_with_names(records, tmp_path, exceptions) as (proxy, _):
                assert await (await proxy.connect(f"six.example:{port}")).ask(b"inside") == b"inside"
                assert (await proxy.connect(f"other.example:{port}")).status == FORBIDDEN
                assert await proxy.egress("rbac_denied") == 1

    run(scenario())


@pytest.mark.parametrize(("denied", "answer"), [("", OPEN), ("127.0.0.3/32", FORBIDDEN)], ids=["open", "denied"])
def test_a_public_address_is_refused_and_counted_when_the_platform_denies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: str, answer: int
) -> None:
    """Loopback stands for public addresses, and the hosts' port for 443; an exception holds within what is denied."""
    public = tuple(cidr for cidr in egress.PRIVATE_IPV4 if cidr != "127.0.0.0/8")
    monkeypatch.setattr(egress, "PRIVATE_IPV4", public)

    async def scenario() -> None:
        async with host("127.0.0.2") as elsewhere, host("127.0.0.3", elsewhere.port) as own:
            port = own.port
            monkeypatch.setattr(rules, "HTTPS_PORT", port)
            records = {"a.github.com": ["127.0.0.2"], "pod.github.com": ["127.0.0.3"], "ghes.example": ["127.0.0.3"]}
            exception = f"ghes.example=127.0.0.3/32:{port}"
            async with proxy_with_names(records, tmp_path, exception, denied=denied) as (proxy, _):
                for name in ("a.github.com", "ghes.example"):
                    assert await (await proxy.connect(f"{name}:{port}")).ask(b"reached") == b"reached"
                assert (await proxy.connect(f"pod.github.com:{port}")).status == answer
                assert await proxy.egress("rbac_denied") == (answer == FORBIDDEN)
            assert own.visits == 1 + (answer == OPEN)

    run(scenario())


def test_an_address_that_is_denied_is_refused_in_both_families_and_below_nat64(tmp_path: Path) -> None:
    async def scenario() -> None:
        addresses = ("20.30.0.1", "64:ff9b::141e:1", "2600:1f00::1")
        records = {f"own{number}.github.com": [address] for number, address in enumerate(addresses)}
        async with proxy_with_names(records, tmp_path, denied="20.30.0.0/16,2600:1f00::/40") as (proxy, _):
            answers = [(await proxy.connect(f"{name}:443")).status for name in records]
            assert answers == [FORBIDDEN] * len(addresses)
            assert await proxy.egress("rbac_denied") == len(addresses)
            assert await proxy.cluster("upstream_cx_total") == 0

    run(scenario())


def test_an_address_that_is_tried_in_place_of_another_is_judged_like_it(tmp_path: Path) -> None:
    """The allowed address refuses connections, the other one listens: an unchecked fall-through would reach it."""

    async def scenario() -> None:
        async with host("127.0.0.3") as private:
            records = {"two.example": ["127.0.0.2", "127.0.0.3"]}
            exception = f"two.example=127.0.0.2/32:{private.port}"
            async with proxy_with_names(records, tmp_path, exception) as (proxy, _):
                answers = [(await proxy.connect(f"two.example:{private.port}")).status for _ in range(40)]
                assert answers == [FORBIDDEN] * 40
                assert await proxy.egress("rbac_denied") == 40
                assert await proxy.cluster("upstream_cx_connect_fail") > 0
            assert private.visits == 0

    run(scenario())


def test_a_name_that_moves_to_a_private_address_is_refused_from_then_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host("127.0.0.2") as public, host("127.0.0.3", public.port) as private:
            records = {"rebound.example": ["127.0.0.2"]}
            authority = f"rebound.example:{public.port}"
            exception = f"rebound.example=127.0.0.2/32:{public.port}"
            async with proxy_with_names(records, tmp_path, exception) as (proxy, names):
                before = await proxy.connect(authority)
                assert before.status == OPEN
                records["rebound.example"] = ["127.0.0.3"]
                await names.is_asked_again("rebound.example")
                answers = [OPEN]
                while answers[-1] == OPEN:
                    answers.append((await proxy.connect(authority)).status)
                assert answers[-1] == FORBIDDEN
                assert await proxy.egress("rbac_denied") == 1
                assert await before.ask(b"still here") == b"still here"
            assert private.visits == 0

    run(scenario())


def test_a_url_with_another_port_opens_nothing_without_an_exception(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = build_bootstrap(gateway("https://ghes.example:8443/acme"), platform())
        async with running_envoy(config, tmp_path) as proxy:
            assert (await proxy.connect("ghes.example:8443")).status == FORBIDDEN

    run(scenario())


def test_an_answer_is_kept_as_long_as_its_ttl_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        records = {"kept.github.com": ["127.0.0.2"], "fleeting.github.com": ["127.0.0.2"]}
        async with proxy_with_names(records, tmp_path) as (proxy, names):
            names.ttl_seconds["kept.github.com"] = 60
            for name in records:
                assert (await proxy.connect(f"{name}:443")).status == FORBIDDEN
            for _ in range(3):
                await names.is_asked_again("fleeting.github.com")
            assert names.asked.count("kept.github.com") == 1

    run(scenario())
