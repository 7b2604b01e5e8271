"""A wrapper installed once, and a fresh pod for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actions_gateway.worker.packaging import install

from .harness import Pod


@pytest.fixture(scope="session")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("gateway"))


@pytest.fixture
def pod(tmp_path: Path, wrapper: Path) -> Iterator[Pod]:
    found = Pod(tmp_path, wrapper)
    yield found
    found.kill()
