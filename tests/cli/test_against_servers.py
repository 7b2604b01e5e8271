"""gw against a real API server and a real GitHub simulator: nothing of gw is replaced but time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actions_gateway.kube import resources as r
from gw.surroundings import Surroundings
from support.patience import HANG_SECONDS

from .objects import agent_pod, gateway, proxy_pod, runner_group
from .rig import Answer, Gw, SteppingClock
from .servers import API_TOKEN, APP_ID, INSTALLATION_ID, Servers


class Site:
    """gw on the servers; between its looks the test's manager makes new gateways Ready."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.gw = Gw(real_cluster=True, real_github=True)
        self.gw.clock.on_sleep = self._play_manager

    def add(self, tenant: str, *arguments: str, **changes: str) -> Answer:
        options = {
            "--app-id": str(APP_ID),
            "--installation-id": str(INSTALLATION_ID),
            "--github-url": f"{self.servers.github.url}/octo/demo",
            "--private-key-file": str(self.servers.key_file),
            "--ca-bundle-file": str(self.servers.ca_path),
            "--runner-group": "cpu labels=self-hosted,linux maxWorkers=30",
        } | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        flat = [part for pair in options.items() for part in pair]
        return self("tenant", "add", tenant, "--yes", *flat, *arguments)

    def __call__(self, *arguments: str) -> Answer:
        answer = self.gw(*arguments, "--kubeconfig", str(self.servers.kubeconfig))
        shown = answer.out + answer.err
        key_lines = [line for line in self.servers.key_file.read_text().splitlines() if not line.startswith("-----")]
        assert [secret for secret in (API_TOKEN, "ghs_", *key_lines) if secret in shown] == []
        assert "Traceback" not in shown
        return answer

    def _play_manager(self) -> None:
        for item in self.servers.call(self.servers.client.list(r.ACTIONSGATEWAYS)).items:
            metadata = item["metadata"]
            if item.get("status"):
                continue
            for entry in item["spec"].get("runnerGroups", []):
                made = runner_group(metadata["namespace"], entry["name"], gateway_name=metadata["name"])
                made["metadata"].pop("creationTimestamp")
                self.servers.put(r.RUNNERGROUPS, {key: made[key] for key in ("metadata", "spec")})
                self._status(r.RUNNERGROUPS, made)
            self._pod(agent_pod(metadata["namespace"]))
            self._pod(proxy_pod(metadata["namespace"]))
            self._status(r.ACTIONSGATEWAYS, gateway(metadata["namespace"], metadata["name"]))

    def _pod(self, made: dict[str, Any]) -> None:
        made["metadata"].pop("creationTimestamp")
        made["status"].pop("containerStatuses")
        spec = {"containers": [{"name": "main", "image": "none"}]}
        self.servers.put(r.PODS, {"metadata": made["metadata"], "spec": spec})
        self._status(r.PODS, made)

    def _status(self, resource: r.Resource, made: dict[str, Any]) -> None:
        metadata = {key: made["metadata"][key] for key in ("name", "namespace")}
        self.servers.put(resource, {"metadata": metadata, "status": made["status"]}, status=True)


@pytest.fixture
def site(servers: Servers) -> Site:
    return Site(servers)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_tenant_is_added_looked_at_and_added_again(site: Site) -> None:
    added = site.add("team-a", "--quota", "pods=50")
    assert added.code == 0, added
    assert "GitHub accepts the key SHA256:" in added.err
    assert "covers octo/demo" in added.err
    again = site.add("team-a", "--quota", "pods=50")
    assert again.code == 0, again
    assert "there is nothing to write" in again.err

    listed = site("tenant", "list")
    assert listed.code == 0
    assert listed.out.splitlines()[1].split()[:3] == ["team-a", "team-a", "True"]
    assert site("tenant", "show", "team-a").code == 0
    assert site("runner-group", "list", "-n", "team-a").code == 0
    health = site(
        "health", "team-a", "--check", "gateway.ready", "--check", "session.open", "--check", "api.crds-served"
    )
    assert health.code == 0, health


WORKFLOW = """
on: push
jobs:
  served: {runs-on: [self-hosted, linux], steps: [{run: "true"}]}
  unserved: {runs-on: [self-hosted, gpu], steps: [{run: "true"}]}
"""


def test_github_is_asked_for_jobs_that_nobody_here_is_told_of(site: Site, tmp_path: Path) -> None:
    assert site.add("team-labels").code == 0
    servers = site.servers
    made = gateway("team-labels")
    made["spec"]["gitHubURL"] = f"{servers.github.url}/octo/demo"
    made["status"]["credential"] |= {"appId": str(APP_ID), "installationId": str(INSTALLATION_ID)}
    site._status(r.ACTIONSGATEWAYS, made)

    async def start() -> int:
        return servers.github.core.start_workflow(WORKFLOW, repository="octo/demo", path="ci.yml", source=None).id

    run_id = servers.call(start())
    ask = ("health", "team-labels", "--check", "job.unserved", "-o", "json")
    key = ("--private-key-file", str(servers.key_file), "--ca-bundle-file", str(servers.ca_path))

    def told(answer: Answer) -> dict[str, str]:
        (check,) = json.loads(answer.out)["checks"]
        return {finding["subject"]: finding["summary"] for finding in check["findings"]}

    assert told(site(*ask)) == {
        "": "GitHub alone knows of a job that no group serves; it is asked with --private-key-file"
    }
    assert told(site(*ask, *key)) == {
        f"octo/demo run {run_id} served": "a group serves its labels",
        f"octo/demo run {run_id} unserved": "no group here serves its labels; it has waited for 0s only",
    }
    granted = told(site("health", "team-labels", "--check", "credential.permissions", "-o", "json", *key))
    assert granted == {"team-labels/team-labels": "administration: write, actions: write"}
    other = tmp_path / "other.pem"
    other.write_bytes(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    rejected = site(*ask, "--private-key-file", str(other), "--ca-bundle-file", str(servers.ca_path))
    assert rejected.code == 3, rejected
    assert "does not accept this private key" in rejected.out
    assert site("health", "--private-key-file", str(other)).code == 2
    assert site(*ask, "--private-key-file", str(tmp_path / "none.pem")).code == 2


def test_the_servers_own_rules_are_heard_before_anything_stays(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("kind: ActionsGateway\nspec:\n  proxy:\n    minReplicas: three\n")
    answer = site.add("team-rules", "--file", str(file))
    assert answer.code == 2, answer
    assert "minReplicas" in answer.err
    assert "team-rules" not in site.servers.names(r.NAMESPACES)


def test_a_key_of_another_app_is_rejected(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    answer = site.add("team-key", private_key_file=str(other))
    assert answer.code == 4, answer
    assert f"does not accept this private key for the App {APP_ID}" in answer.err
    assert "team-key" not in site.servers.names(r.NAMESPACES)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"app_id": "999"}, 4, "does not accept this private key for the App 999"),
        ({"installation_id": "999"}, 4, f"knows no installation 999 of the App {APP_ID}"),
        ({"runner_group": "cpu labels=a tiers=gold:5"}, 2, "the cluster has no priority class gold"),
    ],
    ids=["unknown App", "unknown installation", "unknown priority class"],
)
def test_what_github_or_the_cluster_does_not_know(site: Site, changes: dict[str, str], code: int, said: str) -> None:
    answer = site.add("team-unknown", **changes)
    assert answer.code == code, answer
    assert said in answer.err
    assert "Next:  " in answer.err
    assert "team-unknown" not in site.servers.names(r.NAMESPACES)


def test_an_installation_that_does_not_cover_the_repository(site: Site) -> None:
    site.servers.github.add_installation(42, APP_ID, repositories=["octo/other"])
    answer = site.add("team-cover", installation_id="42")
    assert answer.code == 4, answer
    assert "installation 42 does not cover octo/demo" in answer.err


@pytest.mark.parametrize(
    ("permissions", "lacking"),
    [
        ({"administration": "write", "metadata": "read"}, "actions:write"),
        ({"administration": "read", "actions": "write", "metadata": "read"}, "administration:write"),
    ],
)
def test_a_missing_permission_is_named(site: Site, permissions: dict[str, str], lacking: str) -> None:
    site.servers.github.add_installation(43, APP_ID, permissions=permissions)
    answer = site.add("team-permissions", installation_id="43")
    assert answer.code == 4, answer
    assert f"lacks the permission {lacking}" in answer.err


def test_a_suspended_installation_is_told(site: Site) -> None:
    site.servers.github.add_installation(44, APP_ID)
    installation = site.servers.github.core.apps.installations[44]
    installation.suspended_at = SteppingClock().now()
    answer = site.add("team-suspended", installation_id="44")
    assert answer.code == 4, answer
    assert "is suspended" in answer.err


def test_a_github_that_does_not_answer_is_exit_3(site: Site) -> None:
    answer = site.add("team-far", github_url="https://127.0.0.1:1/octo/demo")
    assert answer.code == 3, answer
    assert "could not ask GitHub" in answer.err
    assert "team-far" not in site.servers.names(r.NAMESPACES)


def test_a_github_with_an_unknown_authority_names_the_option(site: Site) -> None:
    options = [
        *("--app-id", str(APP_ID), "--installation-id", str(INSTALLATION_ID), "--yes"),
        *("--github-url", f"{site.servers.github.url}/octo/demo", "--private-key-file", str(site.servers.key_file)),
        *("--runner-group", "cpu labels=self-hosted,linux"),
    ]
    answer = site("tenant", "add", "team-tls", *options)
    assert answer.code == 3, answer
    assert "--ca-bundle-file" in answer.err


def test_an_interrupt_at_the_question_ends_gw_at_once_and_writes_nothing(site: Site) -> None:
    command = [sys.executable, "-m", "gw", "tenant", "add", "team-asked", "--kubeconfig", str(site.servers.kubeconfig)]
    command += ["--app-id", str(APP_ID), "--installation-id", str(INSTALLATION_ID)]
    command += ["--github-url", f"{site.servers.github.url}/octo/demo", "--ca-bundle-file", str(site.servers.ca_path)]
    command += ["--private-key-file", str(site.servers.key_file), "--runner-group", "cpu labels=self-hosted,linux"]
    near, far = os.openpty()
    try:
        process = subprocess.Popen(command, stdin=far, stdout=far, stderr=subprocess.PIPE, start_new_session=True)
        assert process.stderr is not None
        said = b""
        while b"[y/N]" not in said:
            said += (chunk := os.read(process.stderr.fileno(), 4096))
            assert chunk, said
        os.killpg(process.pid, signal.SIGINT)
        said += process.communicate(timeout=HANG_SECONDS)[1]
    finally:
        os.close(near)
        os.close(far)
    assert process.returncode == 130, said
    assert b"Traceback" not in said
    assert "team-asked" not in site.servers.names(r.NAMESPACES)


def test_the_check_leaves_no_token_and_no_runner_behind(site: Site) -> None:
    site.add("team-clean", "--dry-run")
    core = site.servers.github.core
    # Revoking a token makes the simulator forget its grant.
    assert core.apps._grants == {}
    assert list(core.runners()) == []


def test_the_surroundings_of_production_are_the_real_ones() -> None:
    real = Surroundings()
    assert (real.open_cluster.__module__, real.look_up_installation.__module__) == (
        "gw.surroundings",
        "gw.surroundings",
    )


# -- several kubeconfigs


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A kubeconfig whose cluster does not answer."""
    path = tmp_path / "elsewhere"
    cluster = {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "elsewhere", "cluster": cluster}],
        "users": [{"name": "elsewhere", "user": {"token": "planted-other-token"}}],
        "contexts": [{"name": "elsewhere", "context": {"cluster": "elsewhere", "user": "elsewhere"}}],
        "current-context": "elsewhere",
    }
    path.write_text(json.dumps(config))
    return path


def test_of_two_kubeconfigs_the_first_says_which_cluster_and_a_context_of_either_can_be_named(
    site: Site, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{elsewhere}{os.pathsep}{site.servers.kubeconfig}")
    look = ("health", "--check", "api.crds-served")
    blind = site.gw(*look)
    assert blind.code == 3, blind
    assert "127.0.0.1:1" in blind.out
    assert site.gw(*look, "--context", "test").code == 0
    wrong = site.gw(*look, "--context", "neither")
    assert wrong.code == 3, wrong
    assert "neither" in wrong.err
    assert "planted" not in f"{blind}{wrong}"


def test_a_kubeconfig_that_does_not_exist_counts_for_nothing_beside_one_that_does(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'gone'}{os.pathsep}{site.servers.kubeconfig}")
    assert site.gw("health", "--check", "api.crds-served").code == 0


def test_a_token_that_has_expired_is_exit_4(site: Site, tmp_path: Path) -> None:
    expired = tmp_path / "expired"
    expired.write_text(site.servers.kubeconfig.read_text().replace(API_TOKEN, "planted-expired-token"))
    answer = site.gw("health", "-A", "--kubeconfig", str(expired))
    assert answer.code == 4, answer
    assert "does not accept the kubeconfig's credentials" in answer.err
    assert "planted" not in answer.out + answer.err
