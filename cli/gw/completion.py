"""What the shell completes: names of tenants and runner groups, asked of the cluster.

A completion says nothing but names: it prints no error, and it gives up after two seconds, whatever holds it.
"""

import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gw.config import read_config
from gw.surroundings import Surroundings

if TYPE_CHECKING:
    from gw.sources.cluster import Cluster

_PATIENCE_SECONDS = 2.0
_Ask = Callable[["Cluster"], Awaitable[list[str]]]


def complete_tenant(ctx: typer.Context, incomplete: str) -> list[str]:
    """The tenants whose names begin so."""

    async def ask(cluster: "Cluster") -> list[str]:
        from gw.sources.gathering import gather_gateways

        return [gateway.namespace for gateway in await gather_gateways(cluster, None)]

    return _beginning(incomplete, _asked(ctx, ask))


def complete_runner_group(ctx: typer.Context, incomplete: str) -> list[str]:
    """The runner groups whose names begin so: of the tenant that was named, or of the settings file's."""
    tenant = ctx.params.get("namespace") or ctx.params.get("tenant")

    async def ask(cluster: "Cluster") -> list[str]:
        from gw.sources.gathering import gather_gateways

        namespace = tenant or read_config(os.environ).namespace
        return [name for gateway in await gather_gateways(cluster, namespace) for name in gateway.group_names]

    return _beginning(incomplete, _asked(ctx, ask))


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _asked(ctx: typer.Context, ask: _Ask) -> list[str]:
    """The cluster's answer; none when it comes too late, or not at all."""
    found: list[str] = []

    def run() -> None:
        import asyncio

        with contextlib.suppress(Exception):
            found.extend(asyncio.run(_ask(ctx, ask)))

    # In a thread of its own, since a kubeconfig's program that logs in cannot be interrupted otherwise.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
    return list(found)


async def _ask(ctx: typer.Context, ask: _Ask) -> list[str]:
    from gw.sources.cluster import ClusterTarget

    given, config = ctx.params, read_config(os.environ)
    kubeconfig = given.get("kubeconfig") or (Path(config.kubeconfig) if config.kubeconfig else None)
    surroundings = ctx.find_root().obj
    assert isinstance(surroundings, Surroundings)
    async with surroundings.open_cluster(ClusterTarget(kubeconfig, given.get("context") or config.context)) as cluster:
        return await ask(cluster)
