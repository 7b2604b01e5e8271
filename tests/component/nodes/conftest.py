"""The real control plane of these tests: their nodes would take the pods of other tests on the session's own."""

import asyncio
from collections.abc import Iterator

import pytest

from support.components import require_control_plane

from .real_world import LOST_NODE, RealCluster, lose_a_node, start


@pytest.fixture(scope="package")
def real_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A control plane whose node `LOST_NODE` was there and is not any more."""
    require_control_plane()
    cluster = asyncio.run(start(tmp_path_factory.mktemp("real")))
    try:
        asyncio.run(lose_a_node(cluster, LOST_NODE))
        yield cluster
    finally:
        asyncio.run(cluster.backend.stop())
