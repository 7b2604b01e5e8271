"""The whole manager on an API server that misbehaves: provisioning goes on and completes, once, and the probes hold."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog.testing

from actions_gateway.api import labels
from actions_gateway.kube.resources import ACTIONSGATEWAYS, DEPLOYMENTS, NAMESPACES
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.faulty_proxy import (
    Effect,
    Gate,
    answer,
    close_mid_body,
    delay,
    drop_watch,
    hang,
    lose_answer,
    refuse,
    silence,
)
from support.patience import HANG_SECONDS

from .manager import NOT_THE_LEASE, children, managing, order, until, until_gone, until_provisioned
from .site import SILENCE_SECONDS, Site, site


@pytest.mark.parametrize(
    ("effect", "match"),
    [
        pytest.param(answer(429, retry_after="1"), {"method": "PATCH", "times": 2}, id="throttled writes"),
        pytest.param(answer(500), {"method": "PATCH", "times": 3}, id="failing writes"),
        pytest.param(answer(503, text="no upstream"), {"times": 8}, id="unavailable"),
        pytest.param(answer(401), {"times": 4}, id="rejected credentials"),
        pytest.param(refuse, {"method": "PATCH", "times": 3}, id="closed connections"),
        pytest.param(lose_answer, {"method": "PATCH", "times": 3}, id="lost answers"),
        pytest.param(close_mid_body, {"method": "PATCH", "times": 3}, id="answers cut in the middle"),
        pytest.param(hang, {"method": "PATCH", "times": 1}, id="no answer"),
        pytest.param(delay(0.3), {}, id="slow"),
        pytest.param(drop_watch(0), {"is_watch": True, "times": 8}, id="dropped watches"),
        pytest.param(drop_watch(1), {"is_watch": True, "times": 8}, id="watches that break after an event"),
        pytest.param(silence, {"is_watch": True, "times": 8}, id="half-open watches"),
        pytest.param(answer(410), {"is_watch": True, "times": 8}, id="expired watches"),
    ],
)
def test_a_running_manager_provisions_all_of_it_once_when_the_fault_is_over(
    plane: ControlPlane, effect: Effect, match: dict[str, Any]
) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            is_watch_fault = match.get("is_watch") is True
            # A watch is opened at the start; any other fault meets a manager that is at work.
            if is_watch_fault:
                fault = here.proxy.inject(effect, path=NOT_THE_LEASE, **match)
            async with managing(here, timeout_seconds=2.0, watch_silence_seconds=SILENCE_SECONDS) as process:
                await process.until_probe("/readyz", 200)
                if not is_watch_fault:
                    fault = here.proxy.inject(effect, path=NOT_THE_LEASE, **match)
                ordered = await order(here, namespace)
                await fault.until_hit()
                assert await process.probe("/healthz") == 200
                await until_provisioned(here, ordered)
                assert await process.probe("/readyz") == 200
                await assert_at_rest(here, namespace)

    run(main())


async def assert_at_rest(here: Site, namespace: str) -> None:
    """One more pass over the gateway writes nothing: what was made was made to the end, and no work is left over."""
    here.proxy.clear()
    before = {entry["metadata"]["uid"]: entry["metadata"]["generation"] for entry in await made(here, namespace)}
    marked = await here.admin.patch(
        ACTIONSGATEWAYS, "ci", {"spec": {"logLevel": "debug"}}, namespace=namespace, field_manager="kubectl-edit"
    )

    async def is_observed() -> bool:
        live = await here.admin.get(ACTIONSGATEWAYS, "ci", namespace)
        return bool(live["status"].get("observedGeneration") == marked["metadata"]["generation"])

    await until(is_observed)
    after = {entry["metadata"]["uid"]: entry["metadata"]["generation"] for entry in await made(here, namespace)}
    # Deployments alone changed, and are still the same objects: the log level is the agent's, and the proxies' notes in
    # an annotation, which counts for a generation, which wishes they were made for.
    own = {entry["metadata"]["uid"] for entry in (await here.admin.list(DEPLOYMENTS, namespace)).items}
    assert before.keys() == after.keys()
    assert {uid for uid in after if after[uid] != before[uid]} == own


async def made(here: Site, namespace: str) -> list[dict[str, Any]]:
    """The children that have a generation, which counts changes of what they want."""
    return [entry for entry in await children(here, namespace) if "generation" in entry["metadata"]]


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(answer(500), id="failing"),
        pytest.param(answer(429, retry_after="1"), id="throttled"),
        pytest.param(close_mid_body, id="cut in the middle"),
        pytest.param(hang, id="silent"),
        pytest.param(refuse, id="closed"),
        pytest.param(answer(401), id="rejected"),
    ],
)
def test_a_manager_that_starts_into_a_fault_is_alive_not_ready_and_names_the_cause(
    plane: ControlPlane, effect: Effect
) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            ordered = await order(here, namespace)
            fault = here.proxy.inject(effect, path=NOT_THE_LEASE)
            with structlog.testing.capture_logs() as lines:
                async with managing(here, timeout_seconds=1.0) as process:
                    await fault.until_hit(2)
                    await process.until_probe("/healthz", 200)
                    assert await process.probe("/readyz") == 503
                    assert await children(here, namespace) == []
                    here.proxy.clear()
                    await process.until_probe("/readyz", 200)
                    await until_provisioned(here, ordered)
            told = [line["problem"] for line in lines if line["log_level"] in ("warning", "error")]
            assert told
            assert all(problem.strip() for problem in told)

    run(main())


def test_a_list_that_fails_while_the_manager_leads_keeps_it_not_ready_and_it_decides_on_no_half_picture(
    plane: ControlPlane,
) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            ordered = await order(here, namespace)
            async with managing(here) as process:
                await process.until_probe("/readyz", 200)
                await until_provisioned(here, ordered)
            fault = here.proxy.inject(answer(500), path="/deployments$", is_watch=False)
            before = len(here.proxy.requests("PATCH", namespace))
            async with managing(here) as process:
                await fault.until_hit(2)
                assert await process.probe("/readyz") == 503
                assert len(here.proxy.requests("PATCH", namespace)) == before
                here.proxy.clear()
                await process.until_probe("/readyz", 200)

    run(main())


async def edit(here: Site, namespace: str) -> None:
    await here.admin.patch(ACTIONSGATEWAYS, "ci", {"spec": {"logLevel": "debug"}}, namespace=namespace)


async def delete(here: Site, namespace: str) -> None:
    await here.admin.delete(ACTIONSGATEWAYS, "ci", namespace=namespace)


@pytest.mark.parametrize("change", [edit, delete])
def test_a_change_that_meets_a_status_write_is_heeded_although_no_watch_tells_of_it(
    plane: ControlPlane, change: Callable[[Site, str], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            marked = {"metadata": {"labels": {labels.TENANT: labels.TENANT_MARK}}}
            await here.admin.patch(NAMESPACES, namespace, marked)
            await order(here, namespace)
            # The manager knows what it lists and what its own writes are answered with.
            here.proxy.inject(silence, is_watch=True, path=NOT_THE_LEASE)
            gate = Gate()
            write = here.proxy.inject(gate, method="PATCH", path=f"/{namespace}/.*/status$", times=1)

            async def is_heeded() -> bool:
                live = await here.admin.get(ACTIONSGATEWAYS, "ci", namespace)
                return bool((live.get("status") or {}).get("observedGeneration") == live["metadata"]["generation"])

            async with managing(here, watch_silence_seconds=HANG_SECONDS):
                await write.until_hit()
                await change(here, namespace)
                assert not await is_heeded()
                gate.open()
                await until(is_heeded)

    run(main())


def test_a_stricter_level_that_is_set_while_the_manager_labels_the_namespace_stays(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            gate = Gate()
            write = here.proxy.inject(gate, method="PATCH", path=f"/namespaces/{namespace}$", times=1)
            async with managing(here):
                ordered = await order(here, namespace)
                await write.until_hit()
                stricter = {"metadata": {"labels": {labels.POD_SECURITY_ENFORCE: "restricted"}}}
                await here.admin.patch(NAMESPACES, namespace, stricter)
                gate.open()
                await until_provisioned(here, ordered)
                live = await here.admin.get(NAMESPACES, namespace)
                assert live["metadata"]["labels"][labels.POD_SECURITY_ENFORCE] == "restricted"

    run(main())


def test_a_throttled_write_is_not_repeated_before_the_server_asked_for_it(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            async with managing(here) as process:
                await process.until_probe("/readyz", 200)
                # Of this namespace alone: others are left from earlier tests.
                own = f"/namespaces/{namespace}$"
                fault = here.proxy.inject(answer(429, retry_after="3"), method="PATCH", path=own, times=1)
                ordered = await order(here, namespace)
                await fault.until_hit()
                await until_provisioned(here, ordered)
                first, second = here.proxy.requests("PATCH", own)[:2]
                assert second.at - first.at >= 3.0

    run(main())


def test_a_namespace_that_is_being_deleted_gets_nothing_new_and_goes(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            namespace = await here.namespace()
            with structlog.testing.capture_logs() as lines:
                async with managing(here) as process:
                    await process.until_probe("/readyz", 200)
                    await until_provisioned(here, await order(here, namespace))
                    await delete_namespace(here, namespace)
                    await until_gone(here, namespace)
            assert [line for line in lines if line["log_level"] in ("warning", "error")] == []

    run(main())


async def delete_namespace(here: Site, name: str) -> None:
    await here.admin.request("DELETE", f"/api/v1/namespaces/{name}")
