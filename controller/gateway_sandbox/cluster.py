"""The sandbox's cluster: certificates, Kubernetes, GitHub simulator, node and the installed manager.

Kubernetes comes from a backend, embedded or real; the rest is one process and one event loop on both. What is installed
into it is what a real cluster gets: the same CRDs, roles and manager Deployment.
"""

import asyncio
import os
import random
import secrets
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from actions_gateway.api.egress import EgressException, PlatformEgress
from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.engine.supervision import cancel_and_wait, run_forever
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.parameters import Parameters
from actions_gateway.installation.release import Images
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.resources import PRIORITYCLASSES, resource_of
from actions_gateway.logs import configure_logging
from gateway_sandbox.backends.backend import Backend
from gateway_sandbox.backends.embedded import EmbeddedBackend
from gateway_sandbox.backends.real import RealBackend
from gateway_sandbox.certificates import GITHUB_ADDRESS, SandboxCertificates
from gateway_sandbox.envoy import find_envoy
from gateway_sandbox.github.simulator import GitHubSimulator
from gateway_sandbox.launcher import (
    CONTROL_PLANE_FOLDER,
    ROUTES_FILE,
    RULES_FOLDER,
    STATE_FOLDER,
    ClusterKind,
    SandboxInfo,
    Setup,
)
from gateway_sandbox.monitoring.stack import MonitoringStack
from gateway_sandbox.nodes.images import Image, ImageTable, repository_of
from gateway_sandbox.nodes.node import Node
from gateway_sandbox.nodes.registration import Room
from gateway_sandbox.runner.root import install_runner_root

log = structlog.get_logger(__name__)

CONTROLLER_IMAGE = "actions-gateway.invalid/controller:sandbox"
REPOSITORY = "octo/demo"
APP_ID = 1
INSTALLATION_ID = 1
PRIORITY_CLASSES = MappingProxyType({"runner-critical": 1000, "runner-standard": 100})
"""Those of the getting-started example, with their priority values."""

PROXY_DRAIN_SECONDS = 1
"""A proxy that is to go leaves its Service at once here: no Endpoints have to reach another node."""

NODE_NAME = "sandbox-node"
NODE_ROOM = Room(cpu="128", memory="256Gi", pods=250)
"""Room for as many workers as the node takes pods, at the 500m and 1Gi that a worker requests by default.

Processes are not confined, so a request is a promise that nobody keeps: what runs shares the machine as it comes.
"""

POD_STOP_SECONDS = 0.5
"""How long pods may take to end with the sandbox: the GitHub that an agent would close its sessions at ends as well."""

_FIELD_MANAGER = "gw-sandbox"


def run_cluster(folder: Path, setup: Setup) -> int:
    """Runs such a cluster in `folder` until SIGTERM, SIGINT or the end of the process that started it."""
    configure_logging("info")
    with asyncio.Runner() as runner:
        return runner.run(_run(folder, setup))


async def _run(folder: Path, setup: Setup) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    guardian_pid = os.getppid()
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster(folder, setup, clock=SystemClock()))
        cluster.info(guardian_pid=guardian_pid).write()
        log.info("sandbox ready", api=cluster.backend.url, github=cluster.github.url)
        await _until_stopped(stopped, guardian_pid)
        log.info("sandbox stopping")
    if os.getppid() != guardian_pid:
        # Nobody else is left to remove keys and tokens.
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return 0


async def _until_stopped(stopped: asyncio.Event, guardian_pid: int) -> None:
    """Returns when asked to stop, or when the guardian is gone and nobody else would end us."""
    while os.getppid() == guardian_pid:
        try:
            await asyncio.wait_for(stopped.wait(), timeout=1.0)
        except TimeoutError:
            continue
        return


@dataclass(frozen=True, slots=True)
class _Paths:
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def app_key(self) -> Path:
        return self.folder / "github-app.pem"

    @property
    def control_token(self) -> Path:
        return self.folder / "control-token"

    @property
    def state(self) -> Path:
        return self.folder / STATE_FOLDER

    @property
    def monitoring(self) -> Path:
        return self.state / "monitoring"

    @property
    def rules(self) -> Path:
        return self.folder / RULES_FOLDER

    @property
    def routes(self) -> Path:
        return self.folder / ROUTES_FILE


class Cluster:
    """Everything that runs inside a sandbox; use as an async context manager."""

    def __init__(self, folder: Path, setup: Setup, *, clock: Clock, rng: random.Random | None = None) -> None:
        self._paths = _Paths(folder)
        self._setup = setup
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._started_at = clock.now()
        self._stack = AsyncExitStack()
        self._control_token = secrets.token_urlsafe(24)
        self.certificates = SandboxCertificates.create(self._paths.state / "certificates")
        self.backend = self._backend(setup.kind)
        self.github = GitHubSimulator(
            clock=clock,
            ssl_context=self.certificates.server_context(),
            rng=self._rng,
            control_token=self._control_token,
        )
        self.monitoring = MonitoringStack(
            self._paths.monitoring,
            self._paths.rules,
            self._paths.routes,
            setup.scrape_interval,
            clock,
            self._rng,
        )

    async def __aenter__(self) -> "Cluster":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def info(self, *, guardian_pid: int) -> SandboxInfo:
        """What other processes need to know."""
        return SandboxInfo(
            folder=self._paths.folder,
            pid=guardian_pid,
            started_at=self._started_at.isoformat(timespec="seconds"),
            cluster=self.backend.kind,
            api_url=self.backend.url,
            kubeconfig=self._paths.kubeconfig,
            ca_path=self._paths.ca,
            github_url=self.github.url,
            egress_exception=str(self._egress_exception),
            control_url=f"{self.github.url}/sandbox",
            control_token_path=self._paths.control_token,
            controller_image=CONTROLLER_IMAGE,
            is_bare=self._setup.is_bare,
            repository=REPOSITORY,
            app_id=APP_ID,
            installation_id=INSTALLATION_ID,
            app_key_path=self._paths.app_key,
            priority_classes=tuple(PRIORITY_CLASSES),
            left_out=self.backend.left_out,
            prometheus_url=self.monitoring.prometheus_url,
            alertmanager_url=self.monitoring.alertmanager_url,
            inbox_url=self.monitoring.inbox_url,
            monitoring_folder=self._paths.monitoring,
        )

    def _backend(self, kind: ClusterKind) -> Backend:
        match kind:
            case ClusterKind.EMBEDDED:
                return EmbeddedBackend(self._paths.state, self.certificates, self._clock)
            case ClusterKind.REAL:
                return RealBackend(self._paths.state / CONTROL_PLANE_FOLDER, self.certificates, self._clock)

    async def _start(self) -> None:
        self._paths.ca.write_text(self.certificates.ca_pem)
        self._stack.push_async_callback(self.backend.stop)
        log.info("cluster starting", kind=self.backend.kind)
        await self.backend.start(self._paths.kubeconfig)
        log.info("cluster ready", api=self.backend.url)
        await self.github.start(GITHUB_ADDRESS)
        self._stack.push_async_callback(self.github.stop)
        self._write_credentials()
        client = await self._stack.enter_async_context(connect(self._paths.kubeconfig))
        if not self._setup.is_bare:
            await self._install(client)
        await self._add_priority_classes(client)
        log.info("objects installed", with_manager=not self._setup.is_bare)
        node = await self._node(client)
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        loops = (
            run_forever(group, self.backend.work(client, node), name=f"{self.backend.kind} cluster"),
            run_forever(group, node.run(), name="node"),
        )
        self._stack.push_async_callback(cancel_and_wait, *loops)
        self.monitoring.prepare()
        await node.ready.wait()
        # Last, and not waited for: their start costs a second of a processor that the cluster is not to wait for.
        self._stack.push_async_callback(
            cancel_and_wait, run_forever(group, self.monitoring.keep(client), name="monitoring")
        )

    @property
    def _egress_exception(self) -> EgressException:
        port = urlsplit(self.github.url).port
        assert port is not None, "the simulated GitHub listens on a port of its own"
        return EgressException(GITHUB_ADDRESS, f"{GITHUB_ADDRESS}/32", port)

    def _write_credentials(self) -> None:
        _write_private(self._paths.control_token, self._control_token)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        _write_private(self._paths.app_key, pem.decode())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.github.add_app(APP_ID, public.decode())
        self.github.add_installation(INSTALLATION_ID, APP_ID, account=REPOSITORY.partition("/")[0])

    async def _install(self, client: KubeClient) -> None:
        parameters = Parameters(
            images=Images(controller=CONTROLLER_IMAGE),
            replicas=self.backend.manager_replicas,
            egress=PlatformEgress(exceptions=(self._egress_exception,)),
            proxy_drain_seconds=PROXY_DRAIN_SECONDS,
        )
        for manifest in installation_manifests(parameters):
            if not self.backend.serves(manifest):
                continue
            resource = resource_of(manifest["apiVersion"], manifest["kind"])
            if resource is None:
                raise RuntimeError(f"the installation holds a {manifest['kind']}, which the sandbox cannot apply")
            await client.apply(resource, manifest, field_manager=_FIELD_MANAGER)

    async def _add_priority_classes(self, client: KubeClient) -> None:
        for name, value in PRIORITY_CLASSES.items():
            manifest = {"metadata": {"name": name}, "value": value, "globalDefault": False}
            await client.apply(PRIORITYCLASSES, manifest, field_manager=_FIELD_MANAGER)

    async def _node(self, admin: KubeClient) -> Node:
        access = await self.backend.admit_node(admin, NODE_NAME)
        client = await self._stack.enter_async_context(connect(access.kubeconfig))
        return Node(
            client,
            name=NODE_NAME,
            folder=self._paths.state / "pods",
            images=image_table(runner_released=self._started_at),
            clock=self._clock,
            ssl_context=access.ssl_context,
            kubelet_client=access.api_client,
            api_url=self.backend.url,
            api_ca_path=self._paths.ca,
            room=NODE_ROOM,
            stop_grace_seconds=POD_STOP_SECONDS,
        )


def image_table(*, runner_released: datetime) -> ImageTable:
    """What stands for the images on this machine: this checkout, a runner root with the fake worker, and Envoy.

    The fake worker is as new as the sandbox, whatever the age of the version that it is taken for: agents say so.
    """
    python = Path(sys.executable)
    controller = Image(
        command=(str(python), "-m", "actions_gateway"),
        env={"RUNNER_RELEASED": runner_released.isoformat(timespec="seconds")},
    )
    runner = Image(
        env={"HOME": "/home/runner"},
        host_env={
            "PATH": os.pathsep.join((str(python.parent), "/usr/local/bin", "/usr/bin", "/bin")),
            # A job uses the checkout's interpreter and packages; it may not write to them or fetch others.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_NO_INDEX": "1",
            "PIP_REQUIRE_VIRTUALENV": "1",
        },
        rootfs={"/home/runner": lambda folder: _runner_root(folder, python)},
        working_dir="/home/runner",
    )
    images = {repository_of(CONTROLLER_IMAGE): controller, repository_of(RUNNER_IMAGE): runner}
    if (envoy := find_envoy()) is not None:
        images[repository_of(PROXY_IMAGE)] = Image(command=(str(envoy),))
    return ImageTable(images)


def _runner_root(folder: Path, python: Path) -> Path:
    root = folder / "home" / "runner"
    install_runner_root(root, python=python)
    return root


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
