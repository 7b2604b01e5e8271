"""One sandbox with one tenant for all end-to-end tests that only look at it or run jobs on it.

A test that takes `sandbox` runs on the embedded cluster and on the real one; `@pytest.mark.embedded_only(reason)` and
`@pytest.mark.real_only(reason)` name the exceptions. With `@pytest.mark.once(reason)` it runs on the real one where
that is built, and else on the embedded one.
"""

from collections.abc import Iterator
from typing import TypeVar

import pytest

from support.components import best_cluster, require_control_plane
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox

T = TypeVar("T")

CLUSTERS = ("embedded", "real")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "embedded_only(reason): the case says nothing more on the real cluster")
    config.addinivalue_line("markers", "real_only(reason): the embedded cluster lacks what the case is about")
    config.addinivalue_line("markers", "once(reason): one cluster is enough, the real one where that is built")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox" in metafunc.fixturenames:
        left_out = {"embedded_only": "real", "real_only": "embedded"}
        excluded = {cluster for mark, cluster in left_out.items() if metafunc.definition.get_closest_marker(mark)}
        once = metafunc.definition.get_closest_marker("once")
        clusters = [best_cluster()] if once else [cluster for cluster in CLUSTERS if cluster not in excluded]
        metafunc.parametrize("sandbox", clusters, indirect=True, scope="package")


@pytest.fixture(scope="package")
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the tenant team-a, on the cluster that the test is for."""
    if request.param == "real":
        require_control_plane()
    folder = tmp_path_factory.mktemp("sandbox") / "cluster"
    try:
        running = start_sandbox(folder, "--cluster", request.param)
        answer = running.gw("tenant", "add", "team-a", "--yes", *running.tenant_arguments())
        assert answer.code == 0, answer
        yield running
    finally:
        stop_sandbox(folder)
    assert not folder.exists()
