"""When a container runs again, and after which pause."""

import pytest

from gateway_sandbox.nodes.restarts import RestartPolicy, next_delay_seconds, wants_restart


@pytest.mark.parametrize(
    ("policy", "exit_code", "is_init", "again"),
    [
        (RestartPolicy.ALWAYS, 0, False, True),
        (RestartPolicy.ALWAYS, 1, False, True),
        (RestartPolicy.ALWAYS, 0, True, False),
        (RestartPolicy.ALWAYS, 1, True, True),
        (RestartPolicy.ON_FAILURE, 0, False, False),
        (RestartPolicy.ON_FAILURE, 1, False, True),
        (RestartPolicy.NEVER, 0, False, False),
        (RestartPolicy.NEVER, 1, False, False),
        (RestartPolicy.NEVER, 1, True, False),
    ],
)
def test_the_policy_decides_about_a_restart(policy: RestartPolicy, exit_code: int, is_init: bool, again: bool) -> None:
    assert wants_restart(policy, exit_code, is_init=is_init) is again


def test_the_pause_doubles_from_ten_seconds_to_five_minutes() -> None:
    pauses: list[float] = []
    previous: float | None = None
    for _ in range(8):
        previous = next_delay_seconds(previous, ran_seconds=1)
        pauses.append(previous)
    assert pauses == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_without_a_crash_forget_the_pause() -> None:
    assert next_delay_seconds(160, ran_seconds=601) == 0
    assert next_delay_seconds(160, ran_seconds=600) == 300
