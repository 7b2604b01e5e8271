"""Every test runs without the settings, variables and colours of whoever runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .rig import Gw, environment


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (
        "KUBECONFIG",
        "KUBERNETES_SERVICE_HOST",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "HTTPS_PROXY",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with environment(XDG_CONFIG_HOME=str(tmp_path / "config")):
        yield


@pytest.fixture
def gw() -> Gw:
    """gw on an empty cluster."""
    return Gw()
