"""`gw tenant add` with what it needs: a key, a cluster, and a manager that makes every new gateway Ready."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .double import ClusterDouble
from .objects import agent_pod, gateway, proxy_pod, runner_group
from .rig import Answer, Gw

Manifest = dict[str, Any]

CPU = "cpu labels=self-hosted,linux maxWorkers=30"
GPU = "gpu labels=self-hosted,gpu tiers=critical:5,standard:20"
NAMES = ["Namespace team-a", "Secret github-app-v1", "ActionsGateway team-a"]


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY, OTHER_KEY = (pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)) for _ in range(2))
SECRET_LINES = [line for line in (KEY + OTHER_KEY).splitlines() if not line.startswith("-----")]
SECRET_LINES += [base64.b64encode(key.encode()).decode()[40:120] for key in (KEY, OTHER_KEY)]


@dataclass
class Onboarding:
    """gw, a key file, and a manager that makes every new gateway Ready."""

    gw: Gw
    folder: Path

    @property
    def key_file(self) -> Path:
        return self.folder / "app.pem"

    def __call__(self, *arguments: str, groups: tuple[str, ...] = (CPU,), **how: Any) -> Answer:
        """`gw tenant add team-a` with what it needs; `--yes` unless the test answers for itself."""
        options = ["--app-id", "1234", "--installation-id", "5678", "--private-key-file", str(self.key_file)]
        if "--file" not in arguments:
            options += ["--github-url", "https://github.com/octo/demo"]
        for group in groups:
            options += ["--runner-group", group]
        if "answer" not in how and "--no-yes" not in arguments:
            options.append("--yes")
        given = [argument for argument in arguments if argument != "--no-yes"]
        name = "team-a" if not given or given[0].startswith("-") else given.pop(0)
        answer = self.gw("tenant", "add", name, *options, *given, **how)
        assert [line for line in SECRET_LINES if line in answer.out + answer.err] == []
        assert "Traceback" not in answer.err
        return answer

    @property
    def cluster(self) -> ClusterDouble:
        return self.gw.cluster


def manager_makes_ready(cluster: ClusterDouble) -> Callable[[Manifest], None]:
    """What manager and agent do with a new gateway: a RunnerGroup with an open session for each entry, and Ready."""

    def on_create(manifest: Manifest) -> None:
        if manifest["kind"] != "ActionsGateway":
            return
        metadata = manifest["metadata"]
        made = gateway(metadata["namespace"], metadata["name"], spec=manifest["spec"])
        cluster.put({**manifest, "status": made["status"]})
        cluster.put(agent_pod(metadata["namespace"]))
        cluster.put(proxy_pod(metadata["namespace"]))
        for entry in manifest["spec"].get("runnerGroups", []):
            cluster.put(
                runner_group(
                    metadata["namespace"],
                    entry["name"],
                    runner_labels=tuple(entry["runnerLabels"]),
                    gateway_name=metadata["name"],
                )
            )

    return on_create
