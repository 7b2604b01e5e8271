"""A real control plane for the faults alone: they change its custom resource definitions and delete namespaces."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from support.planes import running_plane

from .site import furnish


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane with the custom resource definitions, the components' rights and the manager's namespace."""
    with running_plane(tmp_path_factory.mktemp("faults")) as running:
        asyncio.run(furnish(running))
        yield running
