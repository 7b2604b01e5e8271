"""The agent behind an egress proxy: GitHub through it alone, Kubernetes never, and what its failures become."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.conditions import ConditionType
from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.metrics.catalog import JOBS_ACQUIRED, LISTENER_SLOTS, TOKEN_REFRESHES
from actions_gateway.proxy.bootstrap import build_bootstrap
from support.agent_rig import Rig, runner_group, surroundings
from support.aio import run
from support.components import require_envoy
from support.connect_proxy import ConnectProxy, connect_proxy
from support.envoy import running_envoy
from support.pod_player import Gate

CPU = ("self-hosted", "linux")


def leads_to_github_only(proxy: ConnectProxy, rig: Rig) -> bool:
    return set(proxy.tunnels) == {rig.simulator.url.removeprefix("https://")}


def test_a_hundred_and_one_polls_are_open_through_the_proxy_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main() -> None:
        async with surroundings() as rig, connect_proxy() as proxy:
            rig.player.ending = gate = Gate()
            await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=200, maxListeners=4))
            async with rig.agent(github_proxy=proxy.url) as agent:
                jobs = rig.enqueue(100, *CPU)
                await agent.until(lambda: rig.github.open_poll_count >= 101)
                await agent.until(lambda: agent.value(LISTENER_SLOTS, "ci-cpu", state="busy") == 100)
                assert proxy.open_tunnels >= 101
                assert leads_to_github_only(proxy, rig)
                gate.open()
                await rig.until_done(jobs)

    run(main())


def test_polls_find_another_proxy_at_once_when_theirs_goes_away() -> None:
    async def main() -> None:
        async with surroundings() as rig, connect_proxy() as proxy:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(github_proxy=proxy.url) as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                polls = len(rig.github.requests("broker.poll"))
                proxy.cut()
                # A second at most by design; the tiers of GitHub's own failures begin at fifteen.
                async with asyncio.timeout(14):
                    await rig.github.state.wait_for(lambda: len(rig.github.requests("broker.poll")) > polls)
                await rig.until_done(rig.enqueue(1, *CPU))
                assert agent.value(TOKEN_REFRESHES) == 1

    run(main())


@pytest.mark.parametrize("status", [403, 405, 503])
def test_a_proxys_refusal_is_told_and_never_taken_for_githubs_verdict(status: int) -> None:
    async def main() -> None:
        async with surroundings() as rig, connect_proxy() as proxy:
            proxy.refusal = status
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(github_proxy=proxy.url) as agent:
                told = await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", "GitHubUnreachable"
                )
                for words in (proxy.url.removeprefix("http://"), f"HTTP {status}", "opens no tunnel"):
                    assert words in told["message"]
                proxy.refusal = None
                await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "False", "CredentialAvailable"
                )
                await rig.until_done(rig.enqueue(1, *CPU))
                assert agent.value(JOBS_ACQUIRED, "ci-cpu") == 1

    run(main())


def test_a_proxy_that_is_down_is_an_unreachable_github_and_heals() -> None:
    async def main() -> None:
        async with surroundings() as rig, connect_proxy() as proxy:
            await proxy.stop()
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(github_proxy=proxy.url) as agent:
                told = await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", "GitHubUnreachable"
                )
                assert "cannot be reached" in told["message"]
                assert agent.health.is_alive()
                await proxy.start()
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())


def bootstrap_for(rig: Rig, exceptions: str = "") -> dict[str, Any]:
    """The proxies of a gateway whose GitHub is the simulator; the platform's exceptions let them reach it."""
    fields = {"gitHubAppRef": {"name": "app"}, "gitHubURL": f"{rig.simulator.url}/octo/demo"}
    platform = PlatformEgress(parse_egress_exceptions(exceptions))
    return build_bootstrap(ActionsGatewaySpec.model_validate(fields), platform)


def test_polls_claims_and_renewals_go_through_a_real_envoy(tmp_path: Path) -> None:
    require_envoy()

    async def main() -> None:
        async with surroundings() as rig:
            host, _, port = rig.simulator.url.removeprefix("https://").rpartition(":")
            exceptions = f"{host}={host}/32:{port}"
            async with running_envoy(bootstrap_for(rig, exceptions), tmp_path) as envoy:
                rig.player.ending = gate = Gate()
                await rig.create(runner_group("ci-cpu", *CPU, maxWorkers=200, maxListeners=4))
                async with rig.agent(github_proxy=f"http://127.0.0.1:{envoy.port}") as agent:
                    jobs = rig.enqueue(100, *CPU)
                    await agent.until(lambda: rig.github.open_poll_count >= 101)
                    assert await envoy.egress("downstream_cx_active") >= 101
                    assert await envoy.egress("rbac_denied") == 0
                    gate.open()
                    await rig.until_done(jobs)

    run(main())


def test_a_real_envoys_refusal_is_told_with_its_remedy(tmp_path: Path) -> None:
    require_envoy()

    async def main() -> None:
        async with surroundings() as rig, running_envoy(bootstrap_for(rig), tmp_path) as envoy:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(github_proxy=f"http://127.0.0.1:{envoy.port}") as agent:
                told = await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", "GitHubUnreachable"
                )
                for words in (f"127.0.0.1:{envoy.port}", "HTTP 403", "spec.proxy.allowedHosts"):
                    assert words in told["message"]
                assert await envoy.egress("rbac_denied") >= 1

    run(main())
