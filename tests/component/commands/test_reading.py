"""`gw logs`, `gw events` and `gw support-bundle` on a real API server, by people with the roles for them.

A kubelet's API for logs is played; that it is asked, and by whom, is the API server's own doing.
"""

import asyncio
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, MANAGER_NAMESPACE, ONCALL_ROLE, TENANT_ROLE, VIEWER_ROLE
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.events import EventRecorder
from cli.rig import Answer, Gw, PresentClock
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane, Options
from gw.ops.logs.following import Following
from gw.ops.logs.request import LogRequest
from gw.sources.logs import LogLine
from gw.sources.pods import PodRole
from support.audit import events_of
from support.components import require_control_plane
from support.installed import callers, gateway_in, install, user_subject
from support.patience import HANG_SECONDS

Manifest = dict[str, Any]

TENANT, NODE = "team-read", "node-read"
ON_CALL, VIEWER, TENANTS_OWN = "olivia", "victor", "tess"
TOKEN = "ghs_" + "Q7w8" * 9
LOGS = {
    AGENT_CONTAINER: [f'{{"event": "opened {number}", "level": "info"}}' for number in range(3)]
    + [f'{{"event": "refused", "level": "error", "answer": "no {TOKEN}"}}'],
    "manager": ['{"event": "leading", "level": "info"}'],
}


@dataclass
class Kubelet:
    """Answers `/containerLogs/…` (kubelet pkg/kubelet/server, getContainerLogs) and remembers what it was asked."""

    certificates: SandboxCertificates
    asked: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kubelet.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = self.certificates.server_context()
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        *_, pod, container = url.path.split("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append({"pod": pod, "container": container, **query})
        lines = ["the run before"] if query.get("previous") == "true" else LOGS[container]
        lines = lines[-int(query.get("tailLines", len(lines))) :]
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for number, line in enumerate(lines):
            self._write(handler, f"2026-01-05T08:00:0{number}.5Z {line}\n")
        if query.get("follow") == "true":
            self._write(handler, '2026-01-05T08:00:09.5Z {"event": "a later line"}\n')
            self.ended.wait()
        handler.wfile.write(b"0\r\n\r\n")

    def _write(self, handler: BaseHTTPRequestHandler, text: str) -> None:
        handler.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        handler.wfile.flush()

    def stop(self) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


@dataclass
class World:
    plane: ControlPlane
    kubelet: Kubelet

    def gw(self, person: str, *arguments: str) -> Answer:
        gw = Gw(real_cluster=True, clock=PresentClock())
        return gw(*arguments, "--kubeconfig", str(self.plane.kubeconfig_for(person)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A tenant with an agent that was restarted and a manager on a node that is played, and roles for three people."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("reading")
    certificates = SandboxCertificates.create(folder / "certificates")
    kubelet = Kubelet(certificates)
    plane = ControlPlane(folder / "data", certificates, Options(with_scheduler=False))
    try:
        asyncio.run(_prepare(plane, kubelet))
        yield World(plane, kubelet)
    finally:
        plane.stop()
        kubelet.stop()


async def _prepare(plane: ControlPlane, kubelet: Kubelet) -> None:
    await plane.start(timeout_seconds=HANG_SECONDS)
    await install(plane)
    async with callers(plane) as everybody:
        admin = everybody.admin
        await admin.create(r.NAMESPACES, {"metadata": {"name": TENANT}})
        addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
        endpoints = {"kubeletEndpoint": {"Port": kubelet.server.server_address[1]}}
        status = {"addresses": addresses, "daemonEndpoints": endpoints}
        await admin.create(r.NODES, {"metadata": {"name": NODE}, "status": status})
        made = await everybody.gateway(gateway_in(TENANT))
        for namespace in (TENANT, MANAGER_NAMESPACE):
            await everybody.until(r.SERVICEACCOUNTS, "default", namespace, lambda _: True)
        agent = {labels.APP: AGENT}
        await _pod(admin, TENANT, "agent-0", agent, AGENT_CONTAINER, restarts=2)
        await _pod(admin, MANAGER_NAMESPACE, "gmc-0", {labels.APP_NAME: "gmc"}, "manager")
        recorder = EventRecorder(admin, SystemClock(), component="agc", instance="agent-0")
        for _ in range(3):
            await recorder.record(made, "NoQuota", "the quota binds", action="Start", warning=True)
        for user, role in ((ON_CALL, ONCALL_ROLE), (VIEWER, VIEWER_ROLE)):
            await admin.create(r.CLUSTERROLEBINDINGS, _binding(role, user))
        await everybody.bind(TENANT_ROLE, TENANT, user_subject(TENANTS_OWN))
        for user in (ON_CALL, VIEWER, TENANTS_OWN):
            async with everybody.user(user) as client:
                await everybody.until_allowed(client, "list", r.PODS, TENANT)


async def _pod(
    admin: KubeClient, namespace: str, name: str, marks: dict[str, str], container: str, *, restarts: int = 0
) -> None:
    """A pod on the played node that runs."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    variables = [{"name": "GITHUB_TOKEN", "value": TOKEN}]
    spec = {
        "nodeName": NODE,
        "automountServiceAccountToken": False,
        "containers": [{"name": container, "image": "x", "env": variables, "securityContext": security}],
    }
    await admin.create(r.PODS, {"metadata": {"name": name, "namespace": namespace, "labels": marks}, "spec": spec})
    state = {"running": {"startedAt": "2026-01-05T08:00:00Z"}}
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": None}}
    entry = {"name": container, "image": "x", "imageID": "x", "ready": True, "restartCount": restarts, "state": state}
    entry |= {"lastState": last} if restarts else {}
    await admin.patch(
        r.PODS,
        name,
        {"status": {"phase": "Running", "containerStatuses": [entry]}},
        namespace=namespace,
        subresource="status",
    )


def _binding(role: str, user: str) -> Manifest:
    return {
        "metadata": {"generateName": "reading-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [user_subject(user)],
    }


# -- logs


def test_a_tenants_person_reads_its_agent_and_is_told_that_it_was_restarted(world: World) -> None:
    answer = world.gw(TENANTS_OWN, "logs", "agent", "-n", TENANT, "--tail", "2")
    assert answer.code == 0, answer
    assert answer.out.splitlines() == [
        "2026-01-05T08:00:01.500Z info    opened 2",
        '2026-01-05T08:00:02.500Z error   refused answer="no [removed: github-token]"',
    ]
    assert "agc of agent-0 was restarted 2 times, last after OOMKilled" in answer.err
    asked = world.kubelet.asked[-1]
    assert (asked["pod"], asked["container"], asked["timestamps"], asked["tailLines"]) == (
        "agent-0",
        "agc",
        "true",
        "3",
    )
    before = world.gw(TENANTS_OWN, "logs", "agent", "-n", TENANT, "--previous", "-o", "short")
    assert before.out == "the run before\n"
    assert world.kubelet.asked[-1]["previous"] == "true"


def test_the_managers_log_is_the_platforms(world: World) -> None:
    answer = world.gw(TENANTS_OWN, "logs", "manager")
    assert answer.code == 3, answer
    assert f'User "{TENANTS_OWN}" cannot list resource "pods"' in answer.err
    assert world.gw(ON_CALL, "logs", "manager", "--since", "1h", "-o", "short").out == f"{LOGS['manager'][0]}\n"
    assert world.kubelet.asked[-1]["sinceSeconds"] == "3600"


def test_a_log_is_followed_from_its_last_line(world: World) -> None:
    assert asyncio.run(_followed(world)) == ['{"event": "a later line"}']
    assert world.kubelet.asked[-1]["sinceTime"] == "2026-01-05T08:00:03Z"


async def _followed(world: World) -> list[str]:
    """The first line that a following hears of."""
    told: list[str] = []
    is_told = asyncio.Event()

    def on_line(line: LogLine) -> None:
        told.append(line.text)
        is_told.set()

    request = LogRequest(TENANT, PodRole.AGENT)
    async with connect(world.plane.kubeconfig_for(VIEWER)) as client:
        following = Following(client, request, SystemClock(), lambda _: None, on_line, on_note=lambda _: None)
        task = asyncio.create_task(following.follow())
        await is_told.wait()
        task.cancel()
        await asyncio.wait([task])
    return told


# -- events


def test_a_series_is_one_line_with_its_count_and_watching_it_tells_it_once(world: World) -> None:
    found = json.loads(world.gw(TENANTS_OWN, "events", TENANT, "--type", "warning", "-o", "json").out)["items"]
    assert [(each["reason"], each["count"], each["object"]["name"], each["note"]) for each in found] == [
        ("NoQuota", 3, "ci", "the quota binds")
    ]
    assert "NoQuota" in world.gw(VIEWER, "events", "-A").out
    answer = world.gw(ON_CALL, "events", "-A", "--for", "nothing")
    assert (answer.code, answer.out[:10]) == (0, "No events.")
    refused = world.gw(TENANTS_OWN, "events", "-A")
    assert refused.code == 3
    assert "cannot list resource" in refused.err


# -- the bundle


def test_a_tenants_bundle_has_no_secret_and_asks_for_none(world: World, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    answer = world.gw(TENANTS_OWN, "support-bundle", TENANT, "--output-file", str(path))
    assert "Left out: objects of the cluster: nodes" in answer.out
    files = _bundled(path)
    assert {f"objects/{TENANT}/actionsgateways.json", f"objects/{TENANT}/pods.json", f"events/{TENANT}.json"} <= set(
        files
    )
    assert b"opened 0" in files[f"logs/{TENANT}/agent-0/agc.log"]
    assert b"the run before" in files[f"logs/{TENANT}/agent-0/agc.previous.log"]
    assert not any(TOKEN.encode() in content for content in files.values())
    manifest = json.loads(files["MANIFEST.json"])
    assert manifest["redaction"]["removed"]["environment"] == 1
    by_tess = list(events_of(world.plane.audit_log, TENANTS_OWN))
    assert "pods" in {each["objectRef"]["resource"] for each in by_tess if "objectRef" in each}
    assert not [each for each in by_tess if each.get("objectRef", {}).get("resource") == "secrets"]
    assert {each["verb"] for each in by_tess} <= {"get", "list", "watch", "create"}
    written = [each for each in by_tess if each["verb"] == "create"]
    assert {each["objectRef"]["apiGroup"] for each in written} <= {"authorization.k8s.io", "authentication.k8s.io"}


def test_on_calls_bundle_of_all_has_the_platforms_part_and_says_what_is_missing(world: World, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    answer = world.gw(ON_CALL, "support-bundle", "-A", "--output-file", str(path), "-o", "json")
    assert answer.code == 3, answer
    files = _bundled(path)
    assert b"leading" in files[f"logs/{MANAGER_NAMESPACE}/gmc-0/manager.log"]
    assert [each["name"] for each in json.loads(files["objects/cluster/nodes.json"])] == [NODE]
    definitions = json.loads(files["objects/cluster/customresourcedefinitions.json"])
    assert len(definitions) == 2
    assert len(json.loads(files["objects/cluster/validatingadmissionpolicies.json"])) > 5
    # The roles reach neither a Prometheus in the cluster nor pods; the health report says the same.
    assert {each["what"] for each in json.loads(answer.out)["not_read"]} == {"metrics"}


def _bundled(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive.getmembers()
        }
