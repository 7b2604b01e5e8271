"""A procedure that is interrupted after any write, at the cluster or at GitHub, and run again comes to the same end."""

from pathlib import Path

import pytest

from actions_gateway.kube import errors

from .incidents import Compromise, after_writes

pytestmark = pytest.mark.usefixtures("keys_are_read_once")

WRITES = 39
"""Of one run from the first write to the closed record."""


def to_the_end(compromise: Compromise) -> None:
    """All that a person does, from the first command to the last."""
    compromise.answer_it()
    compromise.revoke()
    for _ in range(3):
        if (last := compromise.answer_it("--done", "scope")).code == 0:
            return
    pytest.fail(str(last))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Compromise:
    compromise = Compromise(tmp_path_factory.mktemp("undisturbed"))
    count = 0

    def counted(number: int) -> None:
        nonlocal count
        count = number

    after_writes(compromise.cluster, compromise.gw.app, counted)
    to_the_end(compromise)
    assert count == WRITES
    return compromise


@pytest.mark.parametrize("last", range(1, WRITES + 1))
def test_interrupted_after_any_write_and_run_again_it_comes_to_the_same_end(
    undisturbed: Compromise, tmp_path: Path, last: int
) -> None:
    compromise = Compromise(tmp_path)

    def interrupt(number: int) -> None:
        if number == last:
            raise KeyboardInterrupt

    after_writes(compromise.cluster, compromise.gw.app, interrupt)
    codes = [compromise.answer_it().code]
    compromise.revoke()
    codes += [compromise.answer_it().code, compromise.answer_it("--done", "scope").code]
    assert 130 in codes
    if codes[-1] != 0:
        to_the_end(compromise)
    assert compromise.end_state() == undisturbed.end_state()
    (incident,) = compromise.incidents
    assert incident["closedAt"]


@pytest.mark.parametrize("last", [3, 5, 12, 17, 25])
def test_a_connection_that_is_lost_in_the_middle_is_told_and_the_next_run_completes_it(
    undisturbed: Compromise, tmp_path: Path, last: int
) -> None:
    compromise = Compromise(tmp_path)

    def cut(number: int) -> None:
        if number == last:
            compromise.cluster.refusals["*", "*"] = errors.Unreachable("the connection was lost")
            raise errors.Unreachable("the connection was lost")

    after_writes(compromise.cluster, compromise.gw.app, cut)
    first = compromise.answer_it()
    if first.code == 2:
        compromise.revoke()
        first = compromise.answer_it()
    assert first.code == 3, first
    assert "the connection was lost" in first.err
    compromise.cluster.refusals.clear()
    to_the_end(compromise)
    assert compromise.end_state() == undisturbed.end_state()
