"""Kubeconfig files of the sandbox: one cluster, one user, one context."""

import json
from collections.abc import Mapping
from pathlib import Path

_NAME = "gateway-sandbox"


def write_kubeconfig(path: Path, *, url: str, ca_path: Path, user: Mapping[str, str]) -> Path:
    """Writes a kubeconfig that only its owner can read; `user` is a kubeconfig's `user` entry."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": url, "certificate-authority": str(ca_path)}}],
        "users": [{"name": _NAME, "user": dict(user)}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": "default"}}],
        "current-context": _NAME,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path
