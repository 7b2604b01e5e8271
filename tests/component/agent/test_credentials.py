"""The App credential: what is wrong with it is said with the field's name, and heals by itself."""

import asyncio
from functools import partial
from typing import Any

import pytest

from actions_gateway.api.conditions import ConditionType, find_condition
from actions_gateway.kube.resources import RUNNERGROUPS, Resource
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    TOKEN_CONSECUTIVE_REFRESH_FAILURES,
    TOKEN_REFRESH_ERRORS,
    TOKEN_REFRESHES,
)
from support.agent_rig import APP_ID, APP_KEY, FAST, NAMESPACE, OTHER_KEY, pem, replace, runner_group, surroundings
from support.aio import run

CPU = ("self-hosted", "linux")


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        pytest.param({"privateKey": pem(OTHER_KEY)}, "KeyRejected", "privateKey", id="a key of another App"),
        pytest.param({"installationId": "4711"}, "InstallationNotFound", "installationId", id="unknown installation"),
        pytest.param(
            {"appId": None, "installationId": None, "privateKey": None}, "SecretNotFound", "appId", id="no Secret"
        ),
        pytest.param({"installationId": None}, "SecretFieldMissing", "installationId", id="a missing field"),
        pytest.param({"privateKey": "no key"}, "SecretFieldInvalid", "privateKey", id="a key that is none"),
    ],
)
def test_a_bad_credential_is_named_and_heals(fields: dict[str, Any], reason: str, named: str) -> None:
    async def main() -> None:
        async with surroundings() as rig:
            rig.write_secret(**fields)
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                found = await agent.until_condition("ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "True", reason)
                assert named in found["message"]
                # The condition is seen before the agent hears that it was written.
                await agent.until(agent.health.is_ready)
                assert (agent.value(TOKEN_REFRESH_ERRORS) or 0) >= 1
                rig.write_secret(privateKey=pem(APP_KEY))
                await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "False", "CredentialAvailable"
                )
                assert agent.value(TOKEN_CONSECUTIVE_REFRESH_FAILURES) == 0
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())


def test_a_missing_permission_is_named_and_heals_with_the_next_token() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            installation = next(iter(rig.github.apps.installations.values()))
            granted, installation.permissions = installation.permissions, {"actions": "write", "metadata": "read"}
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                found = await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "True", "PermissionMissing"
                )
                assert "administration" in found["message"]
                installation.permissions = granted
                await rig.until_done(rig.enqueue(1, *CPU))

    run(main())


def test_the_status_shows_what_is_public_of_the_credential() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                group = await agent.until_group(
                    "ci-cpu", lambda g: "tokenExpiresAt" in g.get("status", {}).get("credential", {})
                )
                credential = group["status"]["credential"]
                assert (credential["appId"], credential["installationId"]) == ("1234", "77")
                assert credential["keyFingerprint"].startswith("SHA256:")
                assert credential["permissions"]["administration"] == "write"
                assert agent.value(TOKEN_REFRESHES) == 1

    run(main())


def test_a_token_that_github_refuses_is_replaced() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent() as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                rig.github.apps.forget_tokens()
                await rig.until_done(rig.enqueue(2, *CPU))
                assert (agent.value(TOKEN_REFRESHES) or 0) >= 2

    run(main())


def test_an_agent_is_ready_only_once_every_status_tells_its_own_verdict() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            await rig.client.patch(
                RUNNERGROUPS, "ci-cpu", {"status": {"activeSessions": 7}}, namespace=NAMESPACE, subresource="status"
            )
            async with rig.agent() as agent:
                patch, gate = agent.client.patch, asyncio.Event()

                async def held(resource: Resource, *arguments: Any, **options: Any) -> dict[str, Any]:
                    if resource is RUNNERGROUPS:
                        await gate.wait()
                    return await patch(resource, *arguments, **options)

                agent.client.patch = held  # type: ignore[method-assign]
                await agent.until(lambda: agent.value(ACTIVE_SESSIONS, "ci-cpu") == 1)
                assert not agent.health.is_ready()
                gate.set()
                await agent.until(agent.health.is_ready)
                group = await rig.client.get(RUNNERGROUPS, "ci-cpu", NAMESPACE)
                assert group["status"]["activeSessions"] < 7, "the earlier agent's number"
                assert find_condition(group, ConditionType.CREDENTIAL_UNAVAILABLE) is not None
                await agent.until_group("ci-cpu", lambda group: group["status"]["activeSessions"] == 1)

    run(main())


def test_an_edit_in_place_is_tried_told_and_never_used() -> None:
    async def main() -> None:
        async with surroundings() as rig:
            await rig.create(runner_group("ci-cpu", *CPU))
            async with rig.agent(replace(FAST, secret_look_seconds=0.1)) as agent:
                await agent.until(lambda: rig.github.open_poll_count == 1)
                for fields, named in (
                    ({"privateKey": pem(OTHER_KEY)}, "privateKey"),
                    ({"installationId": "4711"}, "installationId"),
                    ({"appId": None}, "appId"),
                    ({"appId": None, "installationId": None, "privateKey": None}, "deleted"),
                ):
                    rig.write_secret(**fields)
                    await agent.until_group("ci-cpu", partial(tells, "True", "EditedSecretUnusable", named))
                await agent.until_condition("ci-cpu", ConditionType.READY, "True", "ListenerActive")
                rig.simulator.add_installation(78, APP_ID)
                rig.write_secret(installationId="78")
                group = await agent.until_group("ci-cpu", partial(tells, "False", "SecretEdited", "next restart"))
                assert group["status"]["credential"]["installationId"] == "77"
                minted = rig.github.requests("rest.create_token", status=201)
                assert len(minted) == 2
                await rig.github.state.wait_for(lambda: bool(rig.github.requests("rest.revoke_token", status=204)))
                await rig.until_done(rig.enqueue(1, *CPU))
                assert len(rig.github.requests("rest.create_token")) == 4
                rig.write_secret()
                await agent.until_condition(
                    "ci-cpu", ConditionType.CREDENTIAL_UNAVAILABLE, "False", "CredentialAvailable"
                )
                assert agent.value(TOKEN_REFRESHES) == 1

    run(main())


def tells(status: str, reason: str, words: str, group: dict[str, Any]) -> bool:
    """Whether the group's status says so of the credential."""
    entry = find_condition(group, ConditionType.CREDENTIAL_UNAVAILABLE)
    return entry is not None and (entry["status"], entry["reason"]) == (status, reason) and words in entry["message"]
