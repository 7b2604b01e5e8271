"""One suite, two API servers: a case that takes `play` runs on the embedded server and on the tests' shared real one.

`@pytest.mark.real_only(reason)` and `@pytest.mark.embedded_only(reason)` name the exceptions: what the embedded server
leaves out, and what only a fresh server of one's own can show. `@pytest.mark.once(reason)` is for what takes long and
says the same on both: on the real one where that is built, and else on the embedded one.
"""

from collections.abc import Iterator

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from support.apiserver import SERVERS, EmbeddedPlay, Play, RealPlay
from support.components import best_cluster
from support.planes import running_plane


def pytest_configure(config: pytest.Config) -> None:
    for name in SERVERS:
        config.addinivalue_line("markers", f"on_{name}: the case runs on the {name} API server (set by `play`)")
        config.addinivalue_line("markers", f"{name}_only(reason): the case says nothing about the other API server")

    config.addinivalue_line("markers", "once(reason): one API server is enough, the real one where that is built")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "play" in metafunc.fixturenames:
        names = [name for name in SERVERS if _is_wanted(metafunc, name)]
        cases = [pytest.param(name, marks=getattr(pytest.mark, f"on_{name}"), id=name) for name in names]
        metafunc.parametrize("play", cases, indirect=True)


def _is_wanted(metafunc: pytest.Metafunc, name: str) -> bool:
    only = [server for server in SERVERS if metafunc.definition.get_closest_marker(f"{server}_only")]
    for server in only:
        mark = metafunc.definition.get_closest_marker(f"{server}_only")
        if mark is None or len(mark.args) != 1:
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: {server}_only needs its reason")
    if metafunc.definition.get_closest_marker("once"):
        return name == best_cluster()
    return not only or name in only


@pytest.fixture(scope="package")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The real control plane that tests share; each takes namespaces of its own."""
    with running_plane(tmp_path_factory.mktemp("controlplane")) as plane:
        yield plane


@pytest.fixture
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scenario on the API server of the case."""
    return EmbeddedPlay() if request.param == "embedded" else RealPlay(request.getfixturevalue("control_plane"))
