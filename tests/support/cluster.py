"""An embedded API server on a free loopback port and a client for it."""

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from gateway_sandbox.apiserver.server import ApiServer

TOKEN = "component-test-token"


@asynccontextmanager
async def api_server(*, clock: Clock | None = None, token: str = TOKEN) -> AsyncIterator[KubeClient]:
    """A running server with the namespace `default`; `token` other than TOKEN is not known to it."""
    server = ApiServer(clock=clock or SystemClock())
    server.add_token(TOKEN, "test-admin", ("system:masters",))
    await server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kubeconfig"
            path.write_text(render_kubeconfig(server.url, token))
            async with KubeClient(await load_configuration(path)) as client:
                yield client
    finally:
        await server.stop()


def render_kubeconfig(url: str, token: str) -> str:
    """A kubeconfig for one server and one bearer token."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
    )
