"""How many sessions wait for work, and how many are prepared to follow."""

from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.agent.sessions.sizing import Growth, Wanted, wanted_sessions

BURST_SECONDS = 10.0


def after(deliveries: int, max_listeners: int, *, every_seconds: float = 0.1) -> list[Growth]:
    growth, states = Growth(), []
    for number in range(deliveries):
        growth = growth.delivered(max_listeners, now=number * every_seconds, burst_seconds=BURST_SECONDS)
        states.append(growth)
    return states


def wanted(growth: Growth, max_listeners: int = 10, free_places: int = 99, *, is_open: bool = True) -> Wanted:
    return wanted_sessions(growth, max_listeners=max_listeners, free_places=free_places, is_open=is_open)


def test_each_full_wave_of_deliveries_doubles_the_size_up_to_the_bound() -> None:
    assert [growth.size for growth in after(8, 10)] == [2, 2, 4, 4, 4, 4, 8, 8]
    assert after(20, 10)[-1].size == 10


def test_a_group_with_one_listener_never_grows() -> None:
    assert {growth.size for growth in after(50, 1)} == {1}


# -- ahead of a burst


def test_the_next_wave_of_a_burst_is_registered_ahead_up_to_a_bound() -> None:
    assert [wanted(growth) for growth in after(3, 10)] == [Wanted(2, 2), Wanted(2, 2), Wanted(4, 12)]
    assert wanted(after(50, 10)[-1]) == Wanted(10, 30)
    assert [wanted(growth, 1) for growth in after(2, 1)] == [Wanted(1, 1), Wanted(1, 3)]
    assert wanted(Growth(size=50, is_burst=True), 100, free_places=500) == Wanted(50, 75)


def test_waves_that_take_long_are_no_burst() -> None:
    assert wanted(after(50, 10, every_seconds=11.0)[-1]) == Wanted(10, 10)
    assert wanted(after(50, 1, every_seconds=11.0)[-1], 1) == Wanted(1, 1)


def test_a_burst_ends_with_a_slow_wave_and_with_silence() -> None:
    burst = after(50, 10)[-1]
    assert burst.is_burst
    slow = burst
    for number in range(10):
        slow = slow.delivered(10, now=100.0 + number, burst_seconds=BURST_SECONDS)
    assert not slow.is_burst
    for _ in range(10):
        burst = burst.unheard(10)
    assert wanted(burst) == Wanted(5, 5)


# -- draining


def test_a_wave_of_polls_that_brings_nothing_halves_the_size() -> None:
    growth, sizes = Growth(size=10), []
    for _ in range(20):
        growth = growth.unheard(growth.size)
        sizes.append(growth.size)
    assert sizes == [10] * 9 + [5] * 5 + [2] * 2 + [1] * 4


def test_a_delivery_breaks_the_silence() -> None:
    growth = Growth(size=10)
    for _ in range(9):
        growth = growth.unheard(10)
    growth = growth.delivered(10, now=0.0, burst_seconds=BURST_SECONDS)
    assert growth.unheard(10).size == 10


def test_a_wave_is_as_many_polls_as_sessions_really_listen() -> None:
    assert Growth(size=10).unheard(1).size == 5


def test_draining_gives_one_back_and_keeps_the_last() -> None:
    assert Growth(size=3, deliveries=2, is_burst=True).drained() == Growth(2)
    assert Growth().drained() == Growth(1)


# -- bounds


def test_free_places_bound_the_sessions_and_the_last_one_stays() -> None:
    grown = Growth(size=8)
    assert wanted(grown, free_places=3) == Wanted(3, 3)
    assert wanted(grown, free_places=0) == Wanted(1, 1)
    assert wanted(grown, 2, 9) == Wanted(2, 2)
    assert wanted(grown, is_open=False) == Wanted(0, 0)
    assert wanted(Growth(size=8, is_burst=True), free_places=11) == Wanted(8, 11)


def test_a_lowered_bound_bounds_those_that_are_prepared_too() -> None:
    assert wanted(Growth(size=10, is_burst=True), 2) == Wanted(2, 6)


@given(st.lists(st.sampled_from(["delivered", "unheard", "drained"]), max_size=200), st.integers(1, 50), st.integers(0))
def test_an_open_group_always_wants_between_one_and_its_bound(
    events: list[str], max_listeners: int, free_places: int
) -> None:
    growth = Growth()
    for now, event in enumerate(events):
        match event:
            case "delivered":
                growth = growth.delivered(max_listeners, now=now, burst_seconds=BURST_SECONDS)
            case "unheard":
                growth = growth.unheard(growth.size)
            case _:
                growth = growth.drained()
        found = wanted(growth, max_listeners, free_places)
        assert 1 <= found.waiting <= found.registered
        assert found.waiting <= max_listeners
        assert found.registered <= max(1, min(free_places, 3 * max_listeners))
