"""A real etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback, started and ended together.

Its credentials are made for it alone; RBAC, admission and the audit log are on. Everything it writes stays in its
folder. Flags: Kubernetes' and etcd's command line references.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway_sandbox.certificates import CertificateAuthority, SandboxCertificates, write_private_key
from gateway_sandbox.controlplane.assets import require_one_minor, require_programs
from gateway_sandbox.controlplane.processes import Process, ProgramEnded
from gateway_sandbox.controlplane.programs import API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER, Program
from gateway_sandbox.kubeconfigs import write_kubeconfig

ADMIN = "sandbox-admin"
MASTERS = "system:masters"
SERVICE_CIDR = "10.96.0.0/16"
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""The name on the certificate that the API server presents to kubelets; kubeadm's."""
_HOST = "127.0.0.1"
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 1.0
_ATTEMPTS = 3
_QUICK_CLIENT = ("--kube-api-qps=200", "--kube-api-burst=400")
"""The defaults (20 to 50 requests a second) protect clusters that others share."""


class NotReady(RuntimeError):
    """The API server was not ready in time; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Options:
    """What runs beside etcd and the API server, and how the API server is set up."""

    with_controllers: bool = True
    with_scheduler: bool = True
    extra_flags: tuple[str, ...] = ()
    """Further flags of kube-apiserver."""
    controller_flags: tuple[str, ...] = ()
    """Further flags of kube-controller-manager."""
    audited_users: tuple[str, ...] = ()
    """Whose requests the audit log holds; empty for everybody's."""


@dataclass(slots=True)
class ControlPlane:
    """One control plane; use as an async context manager."""

    folder: Path
    certificates: SandboxCertificates
    options: Options = field(default_factory=Options)
    url: str = ""
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _processes: list[Process] = field(default_factory=list)
    _programs: dict[Program, Path] = field(default_factory=dict)

    @property
    def audit_log(self) -> Path:
        """One JSON event per line (audit.k8s.io/v1), level Metadata."""
        return self.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def pids(self) -> Mapping[str, int]:
        """The processes by program."""
        return {process.name: process.pid for process in self._processes}

    async def __aenter__(self) -> "ControlPlane":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    async def start(self, *, timeout_seconds: float | None = None) -> None:
        """Returns when the API server is ready and namespaces get their service accounts.

        Without a limit it waits until it is cancelled: whoever starts a sandbox gives one to the whole of it.

        Raises ProgramsMissing, ProgramsDisagree, ProgramEnded with a log's end, or NotReady.
        """
        wanted = [ETCD, API_SERVER]
        wanted += [CONTROLLER_MANAGER] if self.options.with_controllers else []
        wanted += [SCHEDULER] if self.options.with_scheduler else []
        self._programs = require_programs(*wanted)
        await asyncio.to_thread(require_one_minor, self._programs)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_credentials()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._start_api_server()
                self._start_controllers()
                await self._until_working()
        except TimeoutError:
            report = "\n".join(f"{process.name}:\n{process.tail()}" for process in self._processes)
            self.stop()
            raise NotReady(f"the control plane was not ready within {timeout_seconds:g} s\n{report}") from None
        except BaseException:
            self.stop()
            raise

    def run_beside(self, program: Program, flags: list[str]) -> Process:
        """Starts a further program, which ends with the rest; raises ProgramsMissing."""
        self._programs |= require_programs(program)
        return self._run(program, flags)

    async def watch(self) -> None:
        """Looks whether everything still runs, until cancelled; raises ProgramEnded for the first that does not."""
        while True:
            for process in self._processes:
                process.require_running()
            await asyncio.sleep(_WATCH_SECONDS)

    def stop(self) -> None:
        """Ends every process, the latest first."""
        for process in reversed(self._processes):
            process.ask_to_stop()
        while self._processes:
            self._processes.pop().stop()

    def kubeconfig_for(self, user: str, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig with a client certificate for any user; what that user may do is up to RBAC."""
        # Two users whose names differ by such a sign only must not share a file.
        digest = hashlib.sha256("\n".join((user, *groups)).encode()).hexdigest()[:8]
        stem = f"user-{user.replace(':', '-').replace('/', '-')}-{digest}"
        pair = self.certificates.authority.issue_client(stem, user, groups, folder=self.folder / "pki")
        entry = {"client-certificate": str(pair.certificate_path), "client-key": str(pair.key_path)}
        return self._write_kubeconfig(f"{stem}.kubeconfig", entry)

    # -- starting ------------------------------------------------------------------------------------------------

    async def _start_api_server(self) -> None:
        """Starts etcd and the API server; a port that somebody takes meanwhile is a reason to try another."""
        for attempt in range(1, _ATTEMPTS + 1):
            etcd_port, peer_port, secure_port = _free_ports(3)
            shutil.rmtree(self.folder / "etcd", ignore_errors=True)
            etcd = self._run(ETCD, self._etcd_flags(etcd_port, peer_port))
            server = self._run(API_SERVER, [*self._server_flags(etcd_port, secure_port), *self.options.extra_flags])
            self.url = f"https://{_HOST}:{secure_port}"
            try:
                await self._until_healthy(etcd, server)
            except ProgramEnded:
                if attempt == _ATTEMPTS or "address already in use" not in server.tail() + etcd.tail():
                    raise
                self.stop()
            else:
                return

    async def _until_healthy(self, *processes: Process) -> None:
        while not await self._answers("/readyz"):
            for process in processes:
                process.require_running()
            await asyncio.sleep(_POLL_SECONDS)

    def _start_controllers(self) -> None:
        self._write_kubeconfig("kubeconfig", {"token": self.admin_token})
        if self.options.with_controllers:
            kubeconfig = self.kubeconfig_for("system:kube-controller-manager")
            self._run(CONTROLLER_MANAGER, [*self._controller_flags(kubeconfig), *self.options.controller_flags])
        if self.options.with_scheduler:
            kubeconfig = self.kubeconfig_for("system:kube-scheduler")
            self._run(
                SCHEDULER, [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0", *_QUICK_CLIENT]
            )

    async def _until_working(self) -> None:
        """With controllers a fresh namespace is usable once its service account and root certificates are there."""
        if not self.options.with_controllers:
            return
        default = "/api/v1/namespaces/default"
        for path in (f"{default}/serviceaccounts/default", f"{default}/configmaps/kube-root-ca.crt"):
            while not await self._answers(path):
                for process in self._processes:
                    process.require_running()
                await asyncio.sleep(_POLL_SECONDS)

    async def _answers(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificates.ca_path))
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        timeout = aiohttp.ClientTimeout(total=5.0)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.url + path, headers=headers, ssl=context) as answer,
            ):
                await answer.read()  # a body left unread makes the connection outlive this loop
                return answer.status == 200
        return False

    def _run(self, program: Program, flags: list[str]) -> Process:
        process = Process([str(self._programs[program]), *flags], self.folder / f"{program.name}.log")
        self._processes.append(process)
        return process

    # -- flags ---------------------------------------------------------------------------------------------------

    def _etcd_flags(self, port: int, peer_port: int) -> list[str]:
        client, peer = f"https://{_HOST}:{port}", f"https://{_HOST}:{peer_port}"
        certificate = self.folder / "pki" / "etcd.crt"
        authority, key = self._etcd_ca, certificate.with_suffix(".key")
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            # Whoever writes to etcd has pods run as this user: on a shared machine loopback is no door to leave open.
            *(f"--{side}trusted-ca-file={authority}" for side in ("", "peer-")),
            *(f"--{side}cert-file={certificate}" for side in ("", "peer-")),
            *(f"--{side}key-file={key}" for side in ("", "peer-")),
            "--client-cert-auth",
            "--peer-client-cert-auth",
            # It would call etcd with the server's certificate, which is none of a client.
            "--enable-grpc-gateway=false",
            # The data ends with the process: waiting for the disk would buy nothing.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _server_flags(self, etcd_port: int, port: int) -> list[str]:
        server = self.certificates.server
        return [
            f"--etcd-servers=https://{_HOST}:{etcd_port}",
            f"--etcd-cafile={self._etcd_ca}",
            f"--etcd-certfile={self.folder / 'pki' / 'etcd-client.crt'}",
            f"--etcd-keyfile={self.folder / 'pki' / 'etcd-client.key'}",
            f"--bind-address={_HOST}",
            f"--secure-port={port}",
            f"--advertise-address={_HOST}",
            # The Service `kubernetes` gets no endpoints: a loopback address is none that EndpointSlices accept.
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--tls-cert-file={server.certificate_path}",
            f"--tls-private-key-file={server.key_path}",
            f"--client-ca-file={self.certificates.ca_path}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self._account_key.with_suffix('.pub')}",
            f"--service-account-signing-key-file={self._account_key}",
            "--authorization-mode=RBAC",
            # Off by default, on in OpenShift: an owner reference that blocks deletion needs a right on the owner.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--allow-privileged=true",
            f"--audit-policy-file={self.folder / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
            f"--kubelet-certificate-authority={self.certificates.ca_path}",
            f"--kubelet-client-certificate={self.folder / 'pki' / 'kubelet-client.crt'}",
            f"--kubelet-client-key={self.folder / 'pki' / 'kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={self.folder / 'pki' / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={self.folder / 'pki' / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={self.folder / 'pki' / 'front-proxy-client.key'}",
        ]

    def _controller_flags(self, kubeconfig: Path) -> list[str]:
        return [
            f"--kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={self._account_key}",
            f"--root-ca-file={self.certificates.ca_path}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            *_QUICK_CLIENT,
            # A sandbox is watched by people: the defaults of 15 s and 5 min belong to clusters with hours.
            "--horizontal-pod-autoscaler-sync-period=2s",
        ]

    # -- credentials ---------------------------------------------------------------------------------------------

    @property
    def _account_key(self) -> Path:
        return self.folder / "pki" / "service-accounts.key"

    @property
    def _etcd_ca(self) -> Path:
        return self.folder / "pki" / "etcd-ca.crt"

    @property
    def front_proxy_ca(self) -> Path:
        """Signs the API server's certificate towards aggregated APIs."""
        return self.folder / "pki" / "front-proxy-ca.crt"

    def _write_credentials(self) -> None:
        pki = self.folder / "pki"
        front_proxy = CertificateAuthority(pki, stem="front-proxy-ca", common_name="sandbox front proxy CA")
        front_proxy.issue_client("front-proxy-client", "front-proxy-client")
        # An authority of its own: everybody's certificates for the API server come from the sandbox's.
        etcd = CertificateAuthority(pki, stem=self._etcd_ca.stem, common_name="sandbox etcd CA")
        etcd.issue_server("etcd", "etcd")
        etcd.issue_client("etcd-client", "kube-apiserver")
        self.certificates.authority.issue_client("kubelet-client", KUBELET_CLIENT, folder=pki)
        account_key = ec.generate_private_key(ec.SECP256R1())
        write_private_key(self._account_key, account_key)
        self._account_key.with_suffix(".pub").write_bytes(
            account_key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.admin_token},{ADMIN},{ADMIN},"{MASTERS}"\n')
        (self.folder / "audit-policy.json").write_text(json.dumps(self._audit_policy()))

    def _audit_policy(self) -> Mapping[str, Any]:
        """Who did what to which object, never a body: bodies hold Secrets."""
        users = self.options.audited_users
        some: list[dict[str, Any]] = [{"level": "Metadata", "users": users}, {"level": "None"}]
        return {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": some if users else [{"level": "Metadata"}],
        }

    def _write_kubeconfig(self, name: str, user: Mapping[str, str]) -> Path:
        return write_kubeconfig(self.folder / name, url=self.url, ca_path=self.certificates.ca_path, user=user)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(_bound()).getsockname()[1] for _ in range(count)]


@contextlib.contextmanager
def _bound() -> Iterator[socket.socket]:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        yield probe
