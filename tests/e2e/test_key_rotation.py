"""`gw key rotate` while jobs run and others wait: none is lost, none runs twice, and no token or renewal fails."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.metrics import catalog as m
from e2e.components import agent_pods, metrics_port, scrape, total
from e2e.held_jobs import HELD, concluded, jobs_of, start_jobs, until_started
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

TENANT, LABEL = "team-keys", "keys"
RUNNING, WAITING = 20, 6
ERRORS = (m.TOKEN_REFRESH_ERRORS, m.RENEWJOB_ERRORS)


@pytest.fixture
def tenant(sandbox: Any) -> Iterator[Any]:
    """The sandbox with a tenant of the test's own, so that all others keep their key."""
    group = f"keys labels=self-hosted,{LABEL} maxWorkers=30"
    answer = sandbox.gw("tenant", "add", TENANT, "--yes", *sandbox.tenant_arguments(group))
    assert answer.code == 0, answer
    yield sandbox
    for kind in (("actionsgateway", TENANT, "-n", TENANT), ("namespace", TENANT)):
        assert sandbox.kubectl("delete", *kind, "--timeout=150s").code == 0


def agent(sandbox: Any) -> Any:
    """The tenant's one agent."""
    (pod,) = agent_pods(sandbox, TENANT)
    return pod


def counts(port: int) -> dict[str, float]:
    """What an agent has counted of the errors that page, and of minted tokens; raises as `scrape` does."""
    samples = scrape(port)
    return {metric.name: total(samples, metric) for metric in (*ERRORS, m.TOKEN_REFRESHES)}


class LastCounts:
    """What an agent had counted when it last answered; it may end at any look."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.counts = counts(port)

    def has_ended(self) -> bool:
        """Looks once more."""
        try:
            self.counts = counts(self._port)
        except (OSError, HTTPException):
            return True
        return False


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
    began, old, port = datetime.now(UTC), agent(sandbox)["metadata"]["uid"], metrics_port(agent(sandbox))
    # A new tenant's agent may have asked GitHub before its first proxy was there.
    last = LastCounts(port)
    before = last.counts

    options = ("--private-key-file", str(file), "--ca-bundle-file", str(sandbox.info["ca_path"]))
    with ThreadPoolExecutor(1) as pool:
        command = ("key", "rotate", TENANT, *options, "--delete-old", "--yes", "--confirm", TENANT, "-o", "json")
        rotation = pool.submit(sandbox.gw, *command, is_watched=False)
        until(lambda: last.has_ended() or rotation.done() or reference(sandbox) == "github-app-v2")
        waiting = start_jobs(sandbox, later, count=WAITING, script="exit 0", label=LABEL)
        until(lambda: last.has_ended() or rotation.done())
        answer = rotation.result()
    assert answer.code == 0, answer
    document = json.loads(answer.out)
    assert (document["outcome"], document["tried"], document["old_deleted"]) == ("rotated", True, True)
    print(f"rotated under {RUNNING} running and {WAITING} waiting jobs in {document['seconds']} s")

    assert agent(sandbox)["metadata"]["uid"] != old
    # Once jobs end, a renewal may find that its lock has just gone with the job; these all run.
    held = {job["runner_name"] for job in jobs_of(sandbox, running)}
    assert len(held) == RUNNING
    assert failed(sandbox, "rest.create_token", began) == []
    assert [one for one in failed(sandbox, "run.renew", began) if one["runner"] in held] == []
    (folder / "go").touch()
    assert concluded(sandbox, running) == [("success", 1, 1)] * RUNNING
    assert concluded(sandbox, waiting) == [("success", 1, 1)] * WAITING
    after = counts(metrics_port(agent(sandbox)))
    assert [(last.counts[each.name] - before[each.name], after[each.name]) for each in ERRORS] == [(0, 0)] * len(ERRORS)
    assert after[m.TOKEN_REFRESHES.name] >= 1
    (status,) = json.loads(sandbox.gw("key", "status", TENANT, "-o", "json").out)["items"]
    assert (status["secret"], status["key_fingerprint"]) == ("github-app-v2", document["key"]["key_fingerprint"])
