"""A real API server and a real GitHub simulator on loopback, on a loop of their own thread, so that gw can run its own.

The manager and the agent are played by the tests: they patch statuses and conclude jobs between gw's looks.
"""

import asyncio
import json
import random
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.engine.clock import SystemClock
from actions_gateway.installation.manifests import crd_manifests
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from gateway_sandbox.apiserver.server import LEFT_OUT, ApiServer
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from gateway_sandbox.launcher import ClusterKind, SandboxInfo
from support.patience import HANG_SECONDS

T = TypeVar("T")
Manifest = dict[str, Any]

API_TOKEN = "planted-api-token"
CONTROL_TOKEN = "planted-control-token"
APP_ID, INSTALLATION_ID = 1234, 5678
REPOSITORY = "octo/demo"


@dataclass
class Servers:
    """Both servers and what a client needs to reach them."""

    loop: asyncio.AbstractEventLoop
    api: ApiServer
    github: GitHubSimulator
    client: KubeClient
    folder: Path
    key: rsa.RSAPrivateKey

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine beside the servers and returns its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(HANG_SECONDS)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def key_file(self) -> Path:
        return self.folder / "app.pem"

    @property
    def ca_path(self) -> Path:
        return self.folder / "certificates" / "ca.crt"

    def info(self) -> SandboxInfo:
        """The servers as a sandbox would publish them."""
        return SandboxInfo(
            folder=self.folder,
            pid=1,
            started_at="2026-01-05T09:00:00+00:00",
            cluster=ClusterKind.EMBEDDED,
            api_url=self.api.url,
            kubeconfig=self.kubeconfig,
            ca_path=self.ca_path,
            github_url=self.github.url,
            control_url=f"{self.github.url}/sandbox",
            control_token_path=self.folder / "control-token",
            repository=REPOSITORY,
            app_id=APP_ID,
            installation_id=INSTALLATION_ID,
            app_key_path=self.key_file,
            egress_exception="127.0.0.2=127.0.0.2/32:443",
            controller_image="example.invalid/controller:sandbox",
            is_bare=False,
            priority_classes=("runner-critical",),
            left_out=LEFT_OUT,
            prometheus_url=None,
            alertmanager_url=None,
            inbox_url=None,
            monitoring_folder=self.folder / "monitoring",
        )

    def put(self, resource: r.Resource, manifest: Manifest, *, status: bool = False) -> None:
        """Applies an object, or its status."""
        subresource = "status" if status else None
        self.call(self.client.apply(resource, manifest, field_manager="test", subresource=subresource))

    def names(self, resource: r.Resource, namespace: str | None = None) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.call(self.client.list(resource, namespace)).items)


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Both servers with the CRDs and one App installed."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="servers", daemon=True)
    thread.start()

    def call(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(HANG_SECONDS)

    try:
        servers = call(_start(loop, folder))
        try:
            yield servers
        finally:
            call(_stop(servers))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_SECONDS)
        loop.close()


async def _start(loop: asyncio.AbstractEventLoop, folder: Path) -> Servers:
    certificates = SandboxCertificates.create(folder / "certificates")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    api = ApiServer(clock=SystemClock(), ssl_context=certificates.server_context())
    api.add_token(API_TOKEN, "test-admin", ("system:masters",))
    github = GitHubSimulator(
        clock=SystemClock(),
        ssl_context=certificates.server_context(),
        settings=SimulatorSettings(key_pool_size=1),
        rng=random.Random(7),
        control_token=CONTROL_TOKEN,
    )
    github.add_app(
        APP_ID, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), slug="octo-ci"
    )
    github.add_installation(INSTALLATION_ID, APP_ID)
    await api.start()
    await github.start()
    _write_files(folder, api.url, certificates.ca_path, key)
    client = await KubeClient(await load_configuration(folder / "kubeconfig")).__aenter__()
    for manifest in crd_manifests():
        await client.apply(r.CRDS, manifest, field_manager="test")
    return Servers(loop, api, github, client, folder, key)


async def _stop(servers: Servers) -> None:
    await servers.client.__aexit__(None, None, None)
    await servers.github.stop()
    await servers.api.stop()


def _write_files(folder: Path, url: str, ca_path: Path, key: rsa.RSAPrivateKey) -> None:
    cluster = {"server": url, "certificate-authority": str(ca_path)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": API_TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    (folder / "control-token").write_text(CONTROL_TOKEN)
    (folder / "app.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
