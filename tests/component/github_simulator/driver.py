"""A client for these tests: the calls of an App, a runner and a worker, with real keys and real signatures."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from httpx_aiohttp import AiohttpTransport

from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.models import Job
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from support.clock import ManualClock
from support.patience import HANG_SECONDS

APP_ID, INSTALLATION_ID = 1234, 77
APP_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
POOL = KeyPool()
LABELS = ["self-hosted", "Linux"]
VERSION = "2.335.1"


def public_pem(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass
class World:
    """A running simulator, its clock, and an HTTP client."""

    simulator: GitHubSimulator
    clock: ManualClock
    http: httpx.AsyncClient

    @property
    def core(self) -> Any:
        return self.simulator.core

    def app_jwt(self, *, key: rsa.RSAPrivateKey = APP_KEY, issuer: str = str(APP_ID), age_seconds: float = 60) -> str:
        now = self.clock.now().timestamp()
        return jwt.encode({"iss": issuer, "iat": now - age_seconds, "exp": now - age_seconds + 600}, key, "RS256")

    async def app_call(self, method: str, path: str, **changes: Any) -> httpx.Response:
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {self.app_jwt(**changes)}"})

    async def token(self, **wish: Any) -> str:
        path = f"/api/v3/app/installations/{INSTALLATION_ID}/access_tokens"
        reply = await self.http.post(path, json=wish, headers={"Authorization": f"Bearer {self.app_jwt()}"})
        assert reply.status_code == 201, reply.text
        return str(reply.json()["token"])

    async def rest(self, method: str, path: str, *, token: str | None = None, body: Any = None) -> httpx.Response:
        bearer = token or await self.token()
        return await self.http.request(
            method, "/api/v3" + path, json=body, headers={"Authorization": f"Bearer {bearer}"}
        )

    async def register(self, name: str = "r-1", *, scope: str = "/repos/octo/demo", **fields: Any) -> httpx.Response:
        wish = {"name": name, "runner_group_id": 1, "labels": LABELS} | fields
        return await self.rest("POST", f"{scope}/actions/runners/generate-jitconfig", body=wish)

    async def runner(self, name: str = "r-1", **fields: Any) -> "RunnerClient":
        """Registered, with its token, without a session."""
        reply = await self.register(name, **fields)
        assert reply.status_code == 201, reply.text
        runner = RunnerClient(self, reply.json()["runner"]["id"], name, _files(reply.json()["encoded_jit_config"]))
        await runner.exchange()
        return runner

    async def listening(self, name: str = "r-1", **fields: Any) -> "RunnerClient":
        """With an open session."""
        runner = await self.runner(name, **fields)
        await runner.open_session()
        return runner

    async def acquired(self, name: str = "r-1", *, started: bool = False) -> "Claim":
        """A fresh job that a fresh runner has acquired."""
        runner = await self.listening(name)
        job = self.core.enqueue(LABELS[:1])
        claim = await runner.acquire(await runner.message())
        claim.job = job
        if started:
            assert (await claim.steps([])).status_code == 204
        return claim

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.core.state.wait_for(condition)

    @asynccontextmanager
    async def open_poll(self, runner: "RunnerClient", **query: str) -> AsyncIterator["asyncio.Task[httpx.Response]"]:
        """A poll that the simulator holds; cancelled at the end if it is still open."""
        session = self.core.state.sessions[runner.session_id]
        before = session.poll
        task = asyncio.create_task(runner.poll(**query))
        await self.until(lambda: session.poll not in (None, before))
        try:
            yield task
        finally:
            task.cancel()


@dataclass
class RunnerClient:
    """One JIT runner as a client sees it."""

    world: World
    id: int
    name: str
    files: dict[str, Any]
    token: str = ""
    session_id: str = ""

    @property
    def private_key(self) -> rsa.RSAPrivateKey:
        parts = {name: _number(text) for name, text in self.files[".credentials_rsaparams"].items()}
        public = rsa.RSAPublicNumbers(parts["exponent"], parts["modulus"])
        numbers = rsa.RSAPrivateNumbers(
            parts["p"], parts["q"], parts["d"], parts["dp"], parts["dq"], parts["inverseQ"], public
        )
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)

    def assertion(self, key: rsa.RSAPrivateKey | None = None, changes: Mapping[str, object] | None = None) -> str:
        data, now = self.files[".credentials"]["Data"], self.world.clock.now().timestamp()
        claims = {
            "iss": data["clientId"],
            "sub": data["clientId"],
            "aud": data["authorizationUrl"],
            "jti": str(uuid.uuid4()),
            "nbf": now - 60,
            "exp": now + 240,
        }
        return jwt.encode({**claims, **(changes or {})}, key or self.private_key, "RS256")

    async def ask_for_token(self, assertion: str | None = None) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion or self.assertion(),
        }
        return await self.world.http.post(self.files[".credentials"]["Data"]["authorizationUrl"], data=form)

    async def exchange(self) -> None:
        reply = await self.ask_for_token()
        if reply.status_code == 200:
            self.token = reply.json()["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _broker(self, leaf: str) -> str:
        return str(self.files[".runner"]["ServerUrlV2"]).rstrip("/") + "/" + leaf

    async def create_session(self, *, version: str = VERSION, agent_id: int | None = None) -> httpx.Response:
        agent = {"id": agent_id or self.id, "name": self.name, "version": version}
        body = {"ownerName": "tests", "agent": agent, "useFipsEncryption": False}
        return await self.world.http.post(self._broker("session"), json=body, headers=self.headers)

    async def open_session(self) -> None:
        reply = await self.create_session()
        assert reply.status_code == 200, reply.text
        self.session_id = reply.json()["sessionId"]

    async def delete_session(self) -> httpx.Response:
        return await self.world.http.delete(self._broker("session"), headers=self.headers)

    @property
    def poll_query(self) -> dict[str, str]:
        session = {"sessionId": self.session_id, "status": "Online", "runnerVersion": VERSION}
        return session | {"os": "Linux", "architecture": "X64", "disableUpdate": "true"}

    async def poll(self, **changes: str) -> httpx.Response:
        query = self.poll_query | changes
        return await self.world.http.get(self._broker("message"), params=query, headers=self.headers)

    async def message(self) -> dict[str, Any]:
        """The body of the next message, which must be a job."""
        reply = await self.poll()
        assert reply.status_code == 200, (reply.status_code, reply.text)
        assert reply.json()["messageType"] == "RunnerJobRequest"
        return dict(json.loads(reply.json()["body"]))

    async def acknowledge(self, request_id: str) -> httpx.Response:
        body = {"runnerRequestId": request_id}
        return await self.world.http.post(
            self._broker("acknowledge"), params=self.poll_query, json=body, headers=self.headers
        )

    async def ask_for_job(self, message: dict[str, Any]) -> httpx.Response:
        url = message["run_service_url"].rstrip("/") + "/acquirejob"
        body = {"jobMessageId": message["runner_request_id"], "runnerOS": "Linux"}
        return await self.world.http.post(
            url, json=body | {"billingOwnerId": message["billing_owner_id"]}, headers=self.headers
        )

    async def acquire(self, message: dict[str, Any]) -> "Claim":
        reply = await self.ask_for_job(message)
        assert reply.status_code == 200, reply.text
        return Claim(self, message, reply.json())


@dataclass
class Claim:
    """An acquired job, with the calls of gateway and worker."""

    runner: RunnerClient
    message: dict[str, Any]
    payload: dict[str, Any]
    job: Job = field(init=False)

    @property
    def endpoint(self) -> dict[str, Any]:
        return dict(self.payload["resources"]["endpoints"][0])

    @property
    def token(self) -> str:
        return str(self.endpoint["authorization"]["parameters"]["AccessToken"])

    @property
    def ids(self) -> dict[str, str]:
        return {"planId": self.payload["plan"]["planId"], "jobId": self.message["runner_request_id"]}

    async def _post(self, url: str, token: str | None = None, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return await self.runner.world.http.post(url, headers=headers, **content)

    async def renew(self, **changes: str) -> httpx.Response:
        token = changes.pop("token", None)
        url = self.message["run_service_url"].rstrip("/") + "/renewjob"
        return await self._post(url, token, json=self.ids | changes)

    async def complete(self, conclusion: Any = "succeeded", **fields: Any) -> httpx.Response:
        body = self.ids | ({} if conclusion is None else {"conclusion": conclusion}) | fields
        return await self._post(self.endpoint["url"] + "completejob", json=body)

    async def steps(self, steps: list[dict[str, Any]]) -> httpx.Response:
        url = f"{self.endpoint['data']['ResultsServiceUrl']}jobs/{self.ids['planId']}/steps"
        return await self._post(url, json={"steps": steps})

    async def log(self, text: str) -> httpx.Response:
        url = f"{self.endpoint['data']['ResultsServiceUrl']}jobs/{self.ids['planId']}/log"
        return await self._post(url, content=text.encode())


def _files(blob: str) -> dict[str, Any]:
    outer = json.loads(base64.b64decode(blob))
    return {name: json.loads(base64.b64decode(content).decode("utf-8-sig")) for name, content in outer.items()}


def _number(text: str) -> int:
    return int.from_bytes(base64.b64decode(text), "big")


def scenario(
    play: Callable[[World], Awaitable[None]],
    *,
    control_token: str | None = None,
    keys: KeyPool = POOL,
    many_connections: bool = False,
    **settings: Any,
) -> None:
    """Runs `play` against a fresh simulator on loopback with a manual clock; fails after a minute."""

    async def main() -> None:
        clock = ManualClock()
        simulator = GitHubSimulator(
            clock=clock, settings=SimulatorSettings(**settings), control_token=control_token, keys=keys
        )
        simulator.add_app(APP_ID, public_pem(APP_KEY))
        simulator.add_installation(INSTALLATION_ID, APP_ID)
        async with asyncio.timeout(HANG_SECONDS):
            await simulator.start()
            try:
                async with _client(simulator.url, many_connections) as http:
                    await play(World(simulator, clock, http))
            finally:
                await simulator.stop()

    asyncio.run(main())


def _client(url: str, many_connections: bool) -> httpx.AsyncClient:
    """httpx's own pool looks at every open connection on every request; aiohttp's does not, but it repeats a GET by
    itself when a kept connection turns out to be closed."""
    if not many_connections:
        return httpx.AsyncClient(base_url=url, timeout=HANG_SECONDS, limits=httpx.Limits(max_connections=None))
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    return httpx.AsyncClient(base_url=url, timeout=HANG_SECONDS, transport=AiohttpTransport(client=session))


def plain_text(encoded: Any) -> Any:
    """A tagged context value as plain Python."""
    if isinstance(encoded, dict) and "d" in encoded:
        return {item["k"]: plain_text(item["v"]) for item in encoded["d"]}
    if isinstance(encoded, dict) and "a" in encoded:
        return [plain_text(item) for item in encoded["a"]]
    return encoded
