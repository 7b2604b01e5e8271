"""Control planes with the whole installation: one to try what is refused on, and one whose audit log is read."""

from collections.abc import Iterator

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from support.planes import WITHOUT_SCHEDULER, installed_plane


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Its log is nobody's business."""
    with installed_plane(tmp_path_factory.mktemp("installed")) as plane:
        yield plane


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Its audit log holds nothing but what those tests do."""
    with installed_plane(tmp_path_factory.mktemp("rights"), WITHOUT_SCHEDULER) as plane:
        yield plane
