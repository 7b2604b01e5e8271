"""A kubelet's API for logs, as far as an API server asks it, and the node that publishes it."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from support.apiserver import Api


def node_name(api: Api) -> str:
    return f"node-{api.namespace}"


@contextlib.asynccontextmanager
async def kubelet(api: Api) -> AsyncIterator[web.AppRunner]:
    """A kubelet API that answers with what it was asked, and the node that publishes it."""

    async def logs(request: web.Request) -> web.Response:
        if request.match_info["container"] == "silent":
            return web.Response(status=400, text='container "silent" in pod "p" is waiting to start')
        return web.json_response({"path": request.path, "query": dict(request.query)})

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=api.certificates.server_context()).start()
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoints = {"kubeletEndpoint": {"Port": runner.addresses[0][1]}}
        status = {"addresses": addresses, "daemonEndpoints": endpoints}
        await api.create("/api/v1/nodes", {"metadata": {"name": node_name(api)}, "status": status})
        yield runner
    finally:
        await runner.cleanup()
