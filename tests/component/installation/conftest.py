"""One control plane for the installation's tests, emptied after each of them."""

import io
from collections.abc import Callable, Iterator

import pytest

from gateway_sandbox.controlplane.server import ControlPlane
from gw.commandline import run
from gw.surroundings import Surroundings
from support.commands import Answer
from support.planes import WITHOUT_SCHEDULER, running_plane

from .world import LiveClock, World, empty_again, manager_starts

Gw = Callable[..., Answer]


@pytest.fixture(scope="package")
def own_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Emptied after each test."""
    with running_plane(tmp_path_factory.mktemp("installation"), WITHOUT_SCHEDULER) as plane:
        yield plane


@pytest.fixture
def world(own_control_plane: ControlPlane) -> Iterator[World]:
    with empty_again(own_control_plane) as emptied:
        emptied.between_looks.append(manager_starts)
        yield emptied


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def gw(world: World) -> Gw:
    """Runs `gw`; a `kubeconfig` other than the administrator's may be named, and `answer` is typed by a person."""

    def gw_(*arguments: str, kubeconfig: object = None, answer: str | None = None) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = run(
            [*arguments, "--kubeconfig", str(kubeconfig or world.plane.kubeconfig)],
            surroundings=Surroundings(
                stdin=io.StringIO() if answer is None else _Terminal(answer),
                stdout=out,
                stderr=err,
                clock=LiveClock(world.move_on),
            ),
        )
        assert "Traceback" not in err.getvalue()
        return Answer(code, out.getvalue(), err.getvalue())

    return gw_
