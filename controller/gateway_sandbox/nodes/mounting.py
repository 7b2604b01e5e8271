"""A pod's volumes while it lives: laid out before its containers start, kept up to date afterwards."""

import asyncio
from typing import Any

from actions_gateway.kube.errors import KubeError
from gateway_sandbox.nodes.problems import MountProblem
from gateway_sandbox.nodes.scope import PodScope
from gateway_sandbox.nodes.volumes import gather_files, write_files
from gateway_sandbox.nodes.waiting import happens_within

_RETRY_SECONDS = 2.0


async def keep_volumes(volumes: list[dict[str, Any]], scope: PodScope, mounted: asyncio.Event) -> None:
    """Lays out `volumes`, sets `mounted`, then follows every change of their sources until cancelled."""
    while True:
        changed = scope.sources_changed.next
        try:
            for volume in volumes:
                await _lay_out(volume, scope)
            mounted.set()
            await changed.wait()
        except (MountProblem, KubeError) as problem:
            scope.tell("FailedMount", str(problem), warning=True)
            scope.records_changed.fire()
            await happens_within(changed, _RETRY_SECONDS, scope.host.clock)


async def _lay_out(volume: dict[str, Any], scope: PodScope) -> None:
    folder = scope.volume_folder(volume["name"])
    files = await gather_files(volume, scope.current(), scope.sources)
    if files is None:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        await asyncio.to_thread(write_files, folder, files)
