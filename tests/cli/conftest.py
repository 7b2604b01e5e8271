"""Every test runs without the settings, variables and colours of whoever runs it."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from actions_gateway.github import app

from .installing import Install, manager_comes_up
from .onboarding import KEY, Onboarding, manager_makes_ready
from .rig import Gw, environment
from .servers import Servers, running_servers


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
def keys_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a private key takes 50 ms for its validation, which counts where a test reads the same one many times."""
    monkeypatch.setattr(app, "_parse_key", lru_cache(app._parse_key))


@pytest.fixture
def gw() -> Gw:
    """gw on an empty cluster."""
    return Gw()


@pytest.fixture
def install(gw: Gw) -> Install:
    """gw install on a cluster whose manager comes up."""
    gw.cluster.on_create = lambda manifest: manager_comes_up(gw, manifest)
    return Install(gw)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """An API server and a GitHub simulator for the tests of one file."""
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def add(tmp_path: Path) -> Onboarding:
    onboarding = Onboarding(Gw(), tmp_path)
    onboarding.key_file.write_text(KEY)
    onboarding.cluster.on_create = manager_makes_ready(onboarding.cluster)
    return onboarding
