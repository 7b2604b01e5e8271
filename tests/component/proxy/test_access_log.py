"""The access log, and what no log has."""

import asyncio
import json
from pathlib import Path

from support.aio import run

from .scene import ended, host, proxy_to


def test_what_is_told_to_the_proxy_reaches_neither_the_host_nor_a_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        received: list[bytes] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.append(await reader.read(100))
            writer.close()

        secret = "Proxy-Authorization: Basic cGxhbnRlZA=="
        async with host(answer=listen) as there, proxy_to(there, tmp_path, accessLog=True) as proxy:
            tunnel = await proxy.connect(there.authority, secret, "X-Other: planted")
            tunnel.writer.write(b"hello")
            assert await ended(tunnel) == b""
            assert (await proxy.connect("elsewhere.example:443", secret)).status == 403
            lines = await proxy.access_lines(2)
        assert received == [b"hello"]
        written = json.dumps(lines) + "".join(proxy.log_lines())
        assert "planted" not in written
        assert "cGxhbnRlZA" not in written

    run(scenario())


def test_the_access_log_has_one_line_per_tunnel_and_refusal_when_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path, accessLog=True) as proxy:
            # Who asked is what a job cannot say for itself.
            tunnel = await proxy.connect(there.authority, "X-Forwarded-For: 8.8.4.4")
            await tunnel.ask(b"12345")
            tunnel.writer.close()
            (await proxy.connect("169.254.169.254:443")).writer.close()
            opened, refused = sorted(await proxy.access_lines(2), key=lambda line: int(line["code"]))
        assert set(opened) == {
            "start", "duration_ms", "method", "authority", "upstream", "code", "flags", "details",
            "received_bytes", "sent_bytes", "peer",
        }  # fmt: skip
        assert opened["authority"] == opened["upstream"] == there.authority
        assert (opened["code"], opened["received_bytes"], opened["sent_bytes"]) == (200, 5, 5)
        assert opened["peer"].startswith("127.0.0.1:")
        assert (refused["authority"], refused["code"], refused["upstream"]) == ("169.254.169.254:443", 403, None)

    run(scenario())


def test_there_is_no_access_log_unless_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with host() as there, proxy_to(there, tmp_path) as proxy:
            (await proxy.connect(there.authority)).writer.close()
            await proxy.reaches("downstream_cx_upgrades_active", 0)
            await proxy.reaches("downstream_cx_destroy", 1)
        assert (tmp_path / "stdout").read_text() == ""

    run(scenario())
