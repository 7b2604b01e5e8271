"""An installation whose policies are at work."""

from collections.abc import Iterator

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from support.planes import installed_plane


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Not the plane on which cases do what the policies forbid: those may run after the installation as well."""
    with installed_plane(tmp_path_factory.mktemp("installed")) as plane:
        yield plane
