"""A tenant's surroundings on the API server of a case: the embedded one, or the session's real one."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.resources import CONFIGMAPS, EVENTS, LIMITRANGES, PODS, RESOURCEQUOTAS, RUNNERGROUPS, SECRETS
from support.agent_rig import NAMESPACE, CountingClient, Rig, surroundings
from support.apiserver import Api, Play

LEFT_BEHIND = (RUNNERGROUPS, RESOURCEQUOTAS, LIMITRANGES, PODS, SECRETS, CONFIGMAPS, EVENTS)


def play_tenant(play: Play, scenario: Callable[[Rig, Api], Awaitable[None]]) -> None:
    """Runs a scenario with a tenant's surroundings on the API server of the case."""

    async def main(api: Api) -> None:
        with tempfile.TemporaryDirectory() as folder:
            kubeconfig = api.kubeconfig(Path(folder))

            @asynccontextmanager
            async def open_agent() -> AsyncIterator[CountingClient]:
                client = CountingClient(await load_configuration(kubeconfig))
                client.requests = []
                async with client:
                    yield client

            own, api.namespace = api.namespace, NAMESPACE
            try:
                if api.is_real:
                    await api.until_answered(
                        lambda: api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
                        lambda answer: answer.status == 201 or "being deleted" not in answer.message,
                    )
                async with surroundings(open_cluster=api.client, open_agent=open_agent) as rig:
                    await scenario(rig, api)
            finally:
                for resource in LEFT_BEHIND:
                    await api.delete(resource.path(NAMESPACE), {"gracePeriodSeconds": 0})
                api.namespace = own

    play(main)
