"""What an open long poll costs the agent's HTTP client: memory per poll, CPU per answered request.

The floor is the bare transport (aiohttp on uvloop over TLS, no client of ours), measured in a process of its own; above
it the httpx API on that transport, our client, and our client through a CONNECT proxy, a process of its own, too.
"""

import asyncio
import multiprocessing
import os
import ssl
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

POLLS = 1000
HOLD_SECONDS = 4.0
_FLOOR = "bare transport (floor)"
HTTPX = "httpx on the transport"
_OURS = "GitHubHttp"
_PROXIED = "GitHubHttp through a proxy"

Figures = tuple[float, float, int]
"""KiB of a poll, milliseconds of CPU for a request, and how many polls were open at once."""


def measure() -> None:
    """Opens POLLS polls with each client in turn."""
    results = measured(_FLOOR, HTTPX, _OURS, _PROXIED)
    for name, (kibibytes, milliseconds, peak) in results.items():
        print(f"{name:26} {kibibytes:6.1f} KiB per poll   {milliseconds:.2f} ms CPU per request   {peak} open at once")
    print(f"{'above the floor':26} {results[_OURS][0] - results[_FLOOR][0]:6.1f} KiB per poll")


def measured(*names: str) -> dict[str, Figures]:
    """The figures of each client, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = context.Pipe()
        server = context.Process(target=_serve, args=(theirs, folder), daemon=True)
        server.start()
        url = ours.recv()
        relay = context.Process(target=_relay, args=(theirs,), daemon=True)
        relay.start()
        proxy = ours.recv()
        results = {}
        for name in names:
            receiver, sender = context.Pipe(duplex=False)
            client = context.Process(target=_open_polls, args=(sender, name, url, folder, proxy))
            client.start()
            results[name] = receiver.recv()
            client.join()
        for process in (server, relay):
            process.terminate()
    return results


def _serve(pipe: Connection, folder: str) -> None:
    import uvloop
    from aiohttp import web

    from gateway_sandbox.certificates import SandboxCertificates

    async def hold(_: web.Request) -> web.Response:
        await asyncio.sleep(HOLD_SECONDS)
        return web.Response(status=202)

    async def run() -> None:
        application = web.Application()
        application.add_routes([web.get("/poll", hold)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(
            runner, "127.0.0.1", 0, ssl_context=SandboxCertificates.create(Path(folder)).server_context(), backlog=POLLS
        )
        await site.start()
        pipe.send(f"https://127.0.0.1:{runner.addresses[0][1]}/poll")
        await asyncio.Event().wait()

    uvloop.run(run())


def _relay(pipe: Connection) -> None:
    import uvloop

    from support.connect_proxy import connect_proxy

    async def run() -> None:
        async with connect_proxy() as proxy:
            pipe.send(proxy.url)
            await asyncio.Event().wait()

    uvloop.run(run())


def _open_polls(pipe: Connection, name: str, url: str, folder: str, proxy: str) -> None:
    import uvloop

    opened = {_FLOOR: _bare, HTTPX: _httpx, _OURS: _ours}.get(name)
    pipe.send(uvloop.run(opened(url, folder) if opened else _ours(url, folder, proxy)))
    sys.exit(0)


async def _ours(url: str, folder: str, proxy: str = "") -> Figures:
    from actions_gateway.engine.clock import SystemClock
    from actions_gateway.github.http import Api, Deadline, GitHubHttp

    async with GitHubHttp(SystemClock(), ca_bundle=Path(folder) / "ca.crt", proxy=proxy or None) as http:
        deadline = Deadline(total_seconds=90.0, read_seconds=60.0, connect_seconds=30.0)

        async def poll() -> None:
            await http.send(Api.BROKER, "GET", url, deadline=deadline)

        return await _measure(poll)


async def _httpx(url: str, folder: str) -> Figures:
    import httpx

    from actions_gateway.github.transport import pooled_transport

    async with httpx.AsyncClient(transport=pooled_transport(ca_bundle=Path(folder) / "ca.crt", proxy=None)) as client:

        async def poll() -> None:
            await client.get(url, timeout=60.0)

        return await _measure(poll)


async def _bare(url: str, folder: str) -> Figures:
    import aiohttp

    context = ssl.create_default_context(cafile=str(Path(folder) / "ca.crt"))
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def poll() -> None:
            async with session.get(url) as response:
                await response.read()

        return await _measure(poll)


async def _measure(poll: object) -> Figures:
    assert callable(poll)
    await poll()
    before_bytes, before_cpu = _resident_bytes(), time.process_time()
    tasks = [asyncio.ensure_future(poll()) for _ in range(POLLS)]
    await asyncio.sleep(HOLD_SECONDS * 0.8)
    open_now = sum(not task.done() for task in tasks)
    grown = _resident_bytes() - before_bytes
    await asyncio.gather(*tasks)
    cpu = time.process_time() - before_cpu
    return grown / 1024 / POLLS, cpu * 1000 / POLLS, open_now


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
