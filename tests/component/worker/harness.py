"""A worker pod as a local process: the installed wrapper, a runner's root with the fake worker, GitHub's services."""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway_sandbox.runner.contextdata import encode_context
from gateway_sandbox.runner.root import install_runner_root

JOB_TOKEN = "job-token-planted-4711"
GITHUB_TOKEN = "ghs_plantedPlantedPlanted0815"
PYTHON = Path(sys.executable)


def step(
    script: str | dict[str, Any], *, name: str = "__run", condition: str = "success()", **parts: Any
) -> dict[str, Any]:
    """A `run:` step of a job message; `parts` are further members, `shell` and `folder` inputs."""
    inputs = {"script": script, "shell": parts.pop("shell", None), "workingDirectory": parts.pop("folder", None)}
    pairs = [{"Key": key, "Value": value} for key, value in inputs.items() if value is not None]
    return {
        "type": "action",
        "reference": {"type": "script"},
        "id": f"id-{name}",
        "contextName": name,
        "name": name,
        "condition": condition,
        "inputs": {"type": 2, "map": pairs},
        **parts,
    }


def expression(text: str) -> dict[str, Any]:
    """The token of one expression."""
    return {"type": 3, "expr": text}


def job_message(
    steps: list[dict[str, Any]], *, service_url: str = "http://127.0.0.1:9/", results_url: str = "", **parts: Any
) -> dict[str, Any]:
    """A job message as `acquirejob` returns it; `github` adds to that context, other parts replace members."""
    github = {"repository": "octo/demo", "run_id": "17", "job": "build", **parts.pop("github", {})}
    contexts = {"github": encode_context(github), **parts.pop("contextData", {})}
    endpoint = {
        "name": "SystemVssConnection",
        "url": service_url,
        "authorization": {"scheme": "OAuth", "parameters": {"AccessToken": JOB_TOKEN}},
        "data": {"ResultsServiceUrl": results_url},
    }
    return {
        "messageType": "RunnerJobRequest",
        "plan": {"planId": "plan-1"},
        "jobId": "job-1",
        "jobDisplayName": "build (demo)",
        "variables": {"github_token": {"value": GITHUB_TOKEN, "isSecret": True}},
        "mask": [],
        "resources": {"endpoints": [endpoint]},
        "contextData": contexts,
        "steps": steps,
        **parts,
    }


class Service:
    """What the results service and the run service were told."""

    def __init__(self) -> None:
        self.url = ""
        self.step_reports: list[list[dict[str, Any]]] = []
        self.log = ""
        self.completions: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.told = asyncio.Event()
        """Set whenever something was reported."""
        self.complete_statuses: list[int] = []
        """Answers to the next completions; 204 when empty."""

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The last reported state of each step by name."""
        return {item["name"]: item for item in self.step_reports[-1]}

    @property
    def completion(self) -> dict[str, Any]:
        (completion,) = self.completions
        return completion

    def job_message(self, steps: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:
        return job_message(steps, service_url=f"{self.url}/run/7/", results_url=f"{self.url}/results/", **parts)

    async def _steps(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["Authorization"])
        self.step_reports.append((await request.json())["steps"])
        self.told.set()
        return web.Response(status=204)

    async def _log(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["Authorization"])
        self.log += await request.text()
        self.told.set()
        return web.Response(status=204)

    async def _complete(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers["Authorization"])
        self.completions.append(await request.json())
        return web.Response(status=self.complete_statuses.pop(0) if self.complete_statuses else 204)

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None, *, address: str = "127.0.0.1") -> AsyncIterator["Service"]:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/results/jobs/plan-1/steps", self._steps)
        app.router.add_post("/results/jobs/plan-1/log", self._log)
        app.router.add_post("/run/7/completejob", self._complete)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, address, 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://{address}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()


class Pod:
    """The folders of one worker pod and, once started, its process."""

    def __init__(self, folder: Path, wrapper: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.secret = folder / "secret"
        self.cancellation = folder / "podinfo" / "cancellation"
        self.termination = folder / "termination-log"
        self.record = folder / "record.json"
        self.environ = {
            "PATH": f"{PYTHON.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "RUNNER_HOME_DIR": str(self.home),
            "PAYLOAD_SECRET_PATH": str(self.secret),
            "CANCELLATION_PATH": str(self.cancellation),
            "TERMINATION_MESSAGE_PATH": str(self.termination),
        }
        self.output = ""
        self.wrapper = wrapper
        self._process: asyncio.subprocess.Process | None = None
        install_runner_root(self.home, python=PYTHON)
        self.secret.mkdir()
        self.cancellation.parent.mkdir()
        self.write_key("runner", json.dumps({"WorkFolder": "_work", "AgentName": "runner-1", "AgentId": "7"}))
        self.write_key("credentials", json.dumps({"Scheme": "OAuth", "Data": {"clientId": "c-1"}}))
        self.write_key("plan-id", "plan-1")

    def write_key(self, key: str, text: str) -> None:
        (self.secret / key).write_text(text)

    def set_job(self, message: dict[str, Any]) -> None:
        self.write_key("payload", json.dumps(message))

    def set_knobs(self, **knobs: Any) -> None:
        (self.home / "worker-knobs.json").write_text(json.dumps(knobs))

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    @property
    def message(self) -> dict[str, Any]:
        """The termination message."""
        return json.loads(self.termination.read_text())  # type: ignore[no-any-return]

    @property
    def recorded(self) -> dict[str, Any]:
        """What the fake worker was given, when its knob `record_path` says so."""
        return json.loads(self.record.read_text())  # type: ignore[no-any-return]

    async def start(self, *, output: int = asyncio.subprocess.PIPE) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(self.wrapper),
            env=self.environ,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def until(self, text: str) -> None:
        """Reads the pod's log until a line holds `text`."""
        await self._read_until(text, lambda line: text in line)

    async def until_line(self, text: str) -> None:
        """Reads the pod's log until a line is `text`; a script that prints it is itself printed before."""
        await self._read_until(text, lambda line: line.strip() == text)

    async def _read_until(self, text: str, is_found: Callable[[str], bool]) -> None:
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.output += line
            if is_found(line):
                return
        raise AssertionError(f"the pod ended without {text!r}:\n{self.output}")

    async def end(self) -> int:
        """Reads the rest of the log; returns the exit code."""
        assert self.process.stdout is not None
        exited = asyncio.ensure_future(self.process.wait())
        self.output += (await self.process.stdout.read()).decode()
        return await exited

    async def run(self) -> int:
        await self.start()
        return await self.end()

    def worker_pid(self) -> int:
        """The process id of Runner.Worker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def kill(self) -> None:
        """Ends whatever a failed test left behind."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
