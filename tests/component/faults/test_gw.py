"""gw on a real API server that misbehaves: it ends, names the cause in one sentence, and never says all is well."""

import asyncio
from pathlib import Path

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from gw.exits import ExitCode
from support.aio import run
from support.commands import Answer, run_command
from support.faulty_proxy import Effect, answer, close_mid_body, delay, hang, refuse

from .site import Site, site

COMMANDS = (("tenant", "list"), ("health",))


async def gw(here: Site, *arguments: str, kubeconfig: Path | None = None) -> Answer:
    path = kubeconfig or here.kubeconfig()
    return await asyncio.to_thread(run_command, "gw", *arguments, "--kubeconfig", str(path), HOME=str(here.folder))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("effect", "code", "cause"),
    [
        pytest.param(answer(429, retry_after="5"), ExitCode.UNKNOWN, "try again in 5 s", id="throttled"),
        pytest.param(answer(500), ExitCode.UNKNOWN, "InternalError", id="failing"),
        pytest.param(answer(503, text=""), ExitCode.UNKNOWN, "503 Service Unavailable", id="unavailable"),
        pytest.param(close_mid_body, ExitCode.UNKNOWN, "broke off in the middle of the answer", id="cut"),
        pytest.param(refuse, ExitCode.UNKNOWN, "closed without an answer", id="closed"),
        pytest.param(answer(200, text="<html>portal</html>"), ExitCode.UNKNOWN, "no JSON object", id="no JSON"),
        pytest.param(answer(401), ExitCode.CREDENTIALS, "credentials", id="rejected"),
    ],
)
def test_a_report_that_cannot_be_made_says_why_and_is_never_fine(
    plane: ControlPlane, command: tuple[str, ...], effect: Effect, code: ExitCode, cause: str
) -> None:
    async def main() -> None:
        async with site(plane) as here:
            here.proxy.inject(effect)
            answer = await gw(here, *command)
            assert answer.code == code, answer
            assert cause in answer.out + answer.err, answer
            assert "Traceback" not in answer.out + answer.err

    run(main())


def test_a_server_that_never_answers_ends_the_command_and_is_named(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            here.proxy.inject(hang)
            answer = await gw(here, "tenant", "list")
            assert answer.code == ExitCode.UNKNOWN, answer
            assert f"{here.proxy.url} gives no answer: it took longer than 15 s" in answer.err, answer

    run(main())


def test_a_slow_server_is_waited_for(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            here.proxy.inject(delay(0.7))
            answer = await gw(here, "tenant", "list")
            assert answer.code == ExitCode.OK, answer

    run(main())


def test_a_token_that_is_not_accepted_is_a_rejected_credential_and_never_shown(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here:
            (here.folder / "token").write_text("eyJhbGciOiJub25lIn0.e30.")
            path = here.kubeconfig()
            path.write_text(path.read_text().replace('"token"', '"tokenFile"').replace(plane.admin_token, "token"))
            answer = await gw(here, "tenant", "list", kubeconfig=path)
            assert answer.code == ExitCode.CREDENTIALS, answer
            assert "eyJ" not in answer.out + answer.err

    run(main())
