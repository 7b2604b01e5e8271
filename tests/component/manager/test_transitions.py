"""What a gateway's status and events say at each turn, on both API servers."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, PROXY
from actions_gateway.kube.resources import DEPLOYMENTS
from support.admission import limit
from support.manager_objects import condition, group_conditions
from support.manager_rig import condition_of
from support.played_tenant import GROUP, Tell, Tenant, waiting

Manifest = dict[str, Any]

_LISTENING = condition("Ready", "True", "ListenerActive")
_WORKS = condition("CredentialUnavailable", "False", "CredentialAvailable")


def test_from_nothing_to_ready_takes_few_writes_and_one_event(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.create()
        await tenant.until_condition("Ready", "False", "AGCNotReady")
        await tenant.run(PROXY, 2)
        await tenant.run(AGENT, 1)
        await tenant.until_condition("Ready", "False", "CredentialNotYetChecked")
        await tenant.report(*group_conditions(ready=False))
        await tenant.until_condition("Ready", "False", "NoActiveSessions", GROUP)
        await tenant.report()
        found = await tenant.until_condition("Ready", "True", "AllAvailable")
        await tenant.until_event("Ready", "Normal")
        await tenant.until_pass_ended()
        assert await tenant.events() == {"Ready"}
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert {entry["observedGeneration"] for entry in found["status"]["conditions"]} == {1}
        assert (found["status"]["proxyReadyReplicas"], found["status"]["activeSessions"]) == (2, 1)
        # The real server counts pod by pod, and has no node, which is worth telling, too.
        assert tenant.status_writes <= (10 if tenant.is_real else 5)

    tell(story)


def test_a_proxy_pool_that_fails_is_told_with_its_cause_and_so_is_its_return(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.run(PROXY, 1)
        await tenant.until_condition("ProxyAvailable", "True", "ProxyReduced", "1 of at least 2")
        pulling = waiting("ImagePullBackOff", 'Back-off pulling image "envoy:none"')
        await tenant.run(PROXY, 0, **pulling)
        await tenant.until_condition("ProxyAvailable", "False", "ProxyNotReady", "ImagePullBackOff", "envoy:none")
        found = await tenant.until_condition("Ready", "False", "ProxyNotReady")
        assert found["status"]["proxyReadyReplicas"] == 0
        await tenant.until_event("ProxyNotReady")
        await tenant.run(PROXY, 2)
        await tenant.until_condition("Ready", "True")
        await tenant.until_event("ProxyReady", "Normal")

    tell(story)


@pytest.mark.embedded_only("what the manager makes of what its agent and the kubelet say")
def test_an_agent_in_a_crash_loop_is_told_with_how_it_ends(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
        await tenant.run(AGENT, 0, **waiting("CrashLoopBackOff", "back-off 10s", lastState=killed, restartCount=3))
        found = await tenant.until_condition("Ready", "False", "AGCNotReady", "OOMKilled (exit code 137)")
        credential = condition_of(found, "CredentialUnavailable")
        assert credential is not None
        assert credential["status"] == "Unknown"
        assert found["status"]["activeSessions"] == 0
        await tenant.until_event("AGCNotReady")
        await tenant.run(AGENT, 1)
        await tenant.until_condition("Ready", "True")
        await tenant.until_pass_ended()
        # It worked before, as far as anybody knows.
        assert "CredentialAvailable" not in await tenant.events()

    tell(story)


@pytest.mark.real_only("nobody makes pods on the embedded server, so no quota refuses them")
def test_a_quota_that_admits_no_pod_is_named(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await limit(tenant.user, tenant.namespace, "none", {"pods": "0"})
        await tenant.create()
        await tenant.until_condition("AGCAvailable", "False", "AGCNotReady", "exceeded quota: none")
        await tenant.until_condition("ProxyAvailable", "False", "ProxyNotReady", "exceeded quota: none")

    tell(story)


@pytest.mark.embedded_only("what the manager makes of what its agent and the kubelet say")
def test_a_pause_leaves_a_gateway_ready_and_containment_does_not(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.change(spec={"paused": True})
        await tenant.until_condition("Paused", "True", "PausedBySpec")
        await tenant.until_event("PausedBySpec", "Normal")
        suspended = condition("Ready", "False", "Suspended")
        await tenant.report(suspended, _WORKS, activeSessions=0)
        await tenant.until_condition("Ready", "True", "", "spec.paused")
        await tenant.change(metadata={"annotations": {labels.CONTAINED: "INC-1"}})
        await tenant.until_condition("Ready", "False", "Contained")
        await tenant.until_event("Contained")
        await tenant.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["replicas"] == 0)
        await tenant.change(spec={"paused": False}, metadata={"annotations": {labels.CONTAINED: None}})
        await tenant.until_condition("Paused", "False", "NotPaused")
        await tenant.until_event("NotPaused", "Normal")
        await tenant.until(DEPLOYMENTS, AGENT, lambda found: found["spec"]["replicas"] == 1)
        await tenant.run(AGENT, 1)
        await tenant.report()
        await tenant.until_condition("Ready", "True", "AllAvailable")
        assert not await tenant.events() & {"NoActiveSessions", "Suspended"}

    tell(story)


@pytest.mark.embedded_only("what the manager makes of what its agent and the kubelet say")
def test_a_credential_problem_is_told_and_heals_by_itself(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        broken = condition("CredentialUnavailable", "True", "SecretFieldInvalid", message="privateKey is no RSA key.")
        await tenant.report(condition("Ready", "False", "NoActiveSessions"), broken, activeSessions=0)
        await tenant.until_condition("Ready", "False", "SecretFieldInvalid", "privateKey")
        await tenant.until_event("SecretFieldInvalid")
        await tenant.report()
        await tenant.until_condition("Ready", "True")
        await tenant.until_event("CredentialAvailable", "Normal")
        edited = condition("CredentialUnavailable", "True", "EditedSecretUnusable", message="privateKey is missing.")
        await tenant.report(_LISTENING, edited)
        found = await tenant.until_condition("CredentialUnavailable", "True", "EditedSecretUnusable", "privateKey")
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["status"] == "True"

    tell(story)


@pytest.mark.embedded_only("what the manager makes of what its agent and the kubelet say")
def test_a_credential_that_is_replaced_is_told_to_work_again_though_the_agent_was_gone_in_between(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        rejected = condition("CredentialUnavailable", "True", "KeyRejected")
        await tenant.report(condition("Ready", "False", "NoActiveSessions"), rejected, activeSessions=0)
        found = await tenant.until_condition("Ready", "False", "KeyRejected")
        await tenant.until_later_than(found)
        await tenant.run(AGENT, 0)
        await tenant.until_condition("CredentialUnavailable", "Unknown")
        await tenant.report()
        await tenant.run(AGENT, 1)
        await tenant.until_condition("Ready", "True")
        await tenant.until_event("CredentialAvailable", "Normal")

    tell(story)


@pytest.mark.embedded_only("what the manager makes of what its agent and the kubelet say")
def test_problems_of_groups_are_folded_up_and_do_not_gate_ready(tell: Tell) -> None:
    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        refused = condition("Degraded", "True", "WorkersRefused")
        limited = condition("RateLimited", "True", "SustainedRateLimit")
        await tenant.report(_LISTENING, _WORKS, refused, limited)
        await tenant.until_condition("RunnerGroupsDegraded", "True", "", f"{GROUP} Degraded/WorkersRefused")
        found = await tenant.until_condition("RateLimited", "True", "SustainedRateLimit", GROUP)
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["status"] == "True"
        await tenant.report()
        await tenant.until_condition("RunnerGroupsDegraded", "False")
        for reason in ("RunnerGroupsImpaired", "SustainedRateLimit"):
            await tenant.until_event(reason)
        for reason in ("AllRunnerGroupsHealthy", "WithinRateLimit"):
            await tenant.until_event(reason, "Normal")

    tell(story)


def test_ready_for_an_older_spec_is_not_ready_for_the_new_one(tell: Tell) -> None:
    """As `kubectl wait` reads it: by the condition's observed generation."""

    async def story(tenant: Tenant) -> None:
        await tenant.become_ready()
        await tenant.change(spec={"logLevel": "debug"})
        found = await tenant.until_condition("Ready", "False", "AGCNotReady")
        ready = condition_of(found, "Ready")
        assert ready is not None
        assert ready["observedGeneration"] == found["status"]["observedGeneration"] == 2
        rolled = found["status"]["observedGeneration"]
        await tenant.until(DEPLOYMENTS, AGENT, lambda one: has_level(one, "debug"))
        await tenant.run(AGENT, 1)
        found = await tenant.until_condition("Ready", "True")
        assert found["status"]["observedGeneration"] == rolled

    tell(story)


def has_level(deployment: Manifest, level: str) -> bool:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {"name": "LOG_LEVEL", "value": level} in container["env"]
