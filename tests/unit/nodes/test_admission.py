"""What the node refuses and what it adds."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_sandbox.nodes.admission import (
    SERVICE_ACCOUNT_PATH,
    all_mounts,
    render_kubeconfig,
    unsupported_feature,
    wants_api_access,
    with_api_access,
)


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", **(container or {})}], **spec}}


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "hostPath"),
        (pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]), "persistentVolumeClaim"),
        (pod(volumes=[{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]), "clusterTrustBundle"),
        (pod({"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}), "preStop hook of the kind exec"),
        (pod({"lifecycle": {"postStart": {"sleep": {"seconds": 1}}}}), "postStart hook of the kind sleep"),
        (pod({"livenessProbe": {"grpc": {"port": 1}}}), "gRPC"),
        (pod({"env": [{"name": "X", "valueFrom": {"resourceFieldRef": {}}}]}), "resourceFieldRef"),
        (pod(initContainers=[{"name": "i", "restartPolicy": "Always"}]), "sidecar"),
    ],
    ids=[
        "host path",
        "claim",
        "unknown projection",
        "stop hook",
        "start hook",
        "gRPC probe",
        "resource field",
        "sidecar",
    ],
)
def test_a_feature_that_the_sandbox_lacks_is_named(manifest: dict[str, Any], words: str) -> None:
    assert words in (unsupported_feature(manifest) or "")


def test_an_ordinary_pod_is_not_refused() -> None:
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s"}}]
    container = {"livenessProbe": {"httpGet": {"port": 1}}, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}
    assert unsupported_feature(pod(container, volumes=volumes)) is None


@pytest.mark.parametrize(
    ("on_pod", "account", "wanted"),
    [
        (None, {}, True),
        (False, {}, False),
        (None, {"automountServiceAccountToken": False}, False),
        (True, {"automountServiceAccountToken": False}, True),
        (None, None, False),
    ],
    ids=["by default", "the pod says no", "the account says no", "the pod overrules the account", "no account"],
)
def test_a_token_is_mounted_as_the_admission_plugin_would(
    on_pod: bool | None, account: dict[str, Any] | None, wanted: bool
) -> None:
    spec: dict[str, Any] = {} if on_pod is None else {"automountServiceAccountToken": on_pod}
    assert wants_api_access(pod(**spec), account) is wanted


def test_a_token_that_is_mounted_already_is_not_mounted_twice() -> None:
    added = with_api_access(pod())
    assert [mount["mountPath"] for mount in all_mounts(added)] == [SERVICE_ACCOUNT_PATH]
    assert not wants_api_access(added, {})


def test_the_kubeconfig_reads_the_mounted_token() -> None:
    text = render_kubeconfig(
        api_url="https://127.0.0.1:1", ca_path=Path("/p/ca.crt"), token_path=Path("/p/token"), namespace="team-a"
    )
    config = json.loads(text)
    assert config["users"][0]["user"] == {"tokenFile": "/p/token"}
    assert config["clusters"][0]["cluster"]["certificate-authority"] == "/p/ca.crt"
    assert config["contexts"][0]["context"]["namespace"] == "team-a"
