"""`gw key rotate` while jobs run and others wait: none is lost, none runs twice, and no token or renewal fails."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.api.names import AGENT
from actions_gateway.metrics import catalog as m
from e2e.held_jobs import HELD, concluded, start_jobs, until_started
from gateway_sandbox.nodes.ports import ANNOTATION
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

TENANT, LABEL = "team-keys", "keys"
RUNNING, WAITING = 20, 6
ERRORS = (m.TOKEN_REFRESH_ERRORS.name, m.RENEWJOB_ERRORS.name)


@pytest.fixture
def tenant(sandbox: Any) -> Iterator[Any]:
    """The sandbox with a tenant of the test's own, so that all others keep their key."""
    group = f"keys labels=self-hosted,{LABEL} maxWorkers=30"
    answer = sandbox.gw("tenant", "add", TENANT, "--yes", *sandbox.tenant_arguments(group))
    assert answer.code == 0, answer
    yield sandbox
    for kind in (("actionsgateway", TENANT, "-n", TENANT), ("namespace", TENANT)):
        assert sandbox.kubectl("delete", *kind, "--timeout=60s").code == 0


def agent(sandbox: Any) -> dict[str, Any]:
    pods: list[dict[str, Any]] = [
        pod
        for pod in sandbox.objects("pods", TENANT)
        if pod["metadata"]["labels"].get("app") == AGENT and not pod["metadata"].get("deletionTimestamp")
    ]
    (pod,) = pods
    return pod


def metrics_port(sandbox: Any) -> int:
    """Of the present agent."""
    return int(json.loads(agent(sandbox)["metadata"]["annotations"][ANNOTATION])["metrics"])


def counts(port: int) -> dict[str, float]:
    """What an agent has counted of the errors that page, and of minted tokens; raises OSError once it has ended."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    found = {}
    for name in (*ERRORS, m.TOKEN_REFRESHES.name):
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.MULTILINE)
        found[name] = sum(map(float, values))
    return found


def last_counts(port: int) -> dict[str, float]:
    """What an agent that ends had counted when it was last asked."""
    last = counts(port)

    def has_ended() -> bool:
        nonlocal last
        try:
            last = counts(port)
        except OSError:
            return True
        return False

    until(has_ended)
    return last


def failed(sandbox: Any, endpoint: str, since: datetime) -> list[Any]:
    """GitHub's answers other than good ones."""
    requests = sandbox.github("GET", f"/requests?endpoint={endpoint}")["requests"]
    return [one for one in requests if datetime.fromisoformat(one["at"]) >= since and one["status"] >= 400]


def reference(sandbox: Any) -> str:
    (found,) = sandbox.objects("actionsgateways", TENANT)
    return str(found["spec"]["gitHubAppRef"]["name"])


@pytest.mark.embedded_only("the agent's restart on the real cluster is test_agent_restart's")
def test_a_rotation_under_load_loses_no_job_and_counts_no_error(tenant: Any, tmp_path: Path) -> None:
    sandbox, key = tenant, rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    file, folder, later = tmp_path / "new.pem", tmp_path / "running", tmp_path / "waiting"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    folder.mkdir()
    later.mkdir()
    sandbox.github("POST", f"/apps/{sandbox.info['app_id']}/keys", {"public_key": public})
    running = start_jobs(sandbox, folder, count=RUNNING, script=HELD, label=LABEL)
    until_started(folder, RUNNING)
    began, old, port = datetime.now(UTC), agent(sandbox)["metadata"]["uid"], metrics_port(sandbox)
    # A new tenant's agent may have asked GitHub before its first proxy was there.
    before = counts(port)

    options = ("--private-key-file", str(file), "--ca-bundle-file", str(sandbox.info["ca_path"]))
    with ThreadPoolExecutor(1) as pool:
        command = ("key", "rotate", TENANT, *options, "--delete-old", "--yes", "--confirm", TENANT, "-o", "json")
        rotation = pool.submit(sandbox.gw, *command, is_watched=False)
        until(lambda: rotation.done() or reference(sandbox) == "github-app-v2")
        waiting = start_jobs(sandbox, later, count=WAITING, script="exit 0", label=LABEL)
        at_its_end = last_counts(port)
        answer = rotation.result()
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert (document["outcome"], document["tried"], document["old_deleted"]) == ("rotated", True, True)
    print(f"rotated under {RUNNING} running and {WAITING} waiting jobs in {document['seconds']} s")

    assert agent(sandbox)["metadata"]["uid"] != old
    # Once jobs end, a renewal may find that its lock has just gone with the job.
    for endpoint in ("rest.create_token", "run.renew"):
        assert failed(sandbox, endpoint, began) == []
    (folder / "go").touch()
    assert concluded(sandbox, running) == [("success", 1, 1)] * RUNNING
    assert concluded(sandbox, waiting) == [("success", 1, 1)] * WAITING
    after = counts(metrics_port(sandbox))
    assert [(at_its_end[name] - before[name], after[name]) for name in ERRORS] == [(0, 0)] * len(ERRORS)
    assert after[m.TOKEN_REFRESHES.name] >= 1
    (status,) = json.loads(sandbox.gw("key", "status", TENANT, "-o", "json").out)["items"]
    assert (status["secret"], status["key_fingerprint"]) == ("github-app-v2", document["key"]["key_fingerprint"])
