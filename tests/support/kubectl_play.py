"""kubectl for the API server of a case, with a home and a kubeconfig of its own."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway_sandbox.certificates import SandboxCertificates
from support.apiserver import Api, Play
from support.components import require_kubectl


@dataclass(frozen=True, slots=True)
class Output:
    """What one command left."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]


class Kubectl:
    """Runs kubectl with a home and a kubeconfig of its own."""

    def __init__(self, folder: Path, config: Path, namespace: str) -> None:
        self.folder = folder
        self._namespace = namespace
        self._environment = {"HOME": str(folder), "KUBECONFIG": str(config), "PATH": os.environ["PATH"]}

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            require_kubectl(),
            "--namespace",
            self._namespace,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment | environment,
        )

    async def __call__(self, *arguments: str, **environment: str) -> Output:
        process = await self.start(*arguments, **environment)
        out, err = await process.communicate()
        return Output(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *arguments: str, **environment: str) -> Output:
        output = await self(*arguments, **environment)
        assert output.code == 0, output.err
        return output

    def file(self, name: str, *objects: Any) -> str:
        path = self.folder / name
        path.write_text(yaml.safe_dump_all(objects))
        return str(path)


Scenario = Callable[[Api, Kubectl], Awaitable[None]]


def run_kubectl(play: Play, folder: Path, scenario: Scenario) -> None:
    """Runs a scenario with a kubectl for the case's server; skips, or under CI=true fails, without kubectl."""
    require_kubectl()

    async def with_kubectl(api: Api) -> None:
        await scenario(api, Kubectl(folder, api.kubeconfig(folder), api.namespace))

    play(with_kubectl, certificates=SandboxCertificates.create(folder / "certificates"))
