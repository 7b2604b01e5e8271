"""How many sessions wait for work."""

from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.agent.sessions.sizing import Growth, wanted_sessions


def after(deliveries: int, max_listeners: int) -> list[int]:
    growth, sizes = Growth(), []
    for _ in range(deliveries):
        growth = growth.delivered(max_listeners)
        sizes.append(growth.size)
    return sizes


def test_each_full_wave_of_deliveries_doubles_the_size_up_to_the_bound() -> None:
    assert after(8, 10) == [2, 2, 4, 4, 4, 4, 8, 8]
    assert after(20, 10)[-1] == 10


def test_a_group_with_one_listener_never_grows() -> None:
    assert set(after(50, 1)) == {1}


def test_draining_gives_one_back_and_keeps_the_last() -> None:
    growth = Growth(size=3, deliveries=2)
    assert growth.drained() == Growth(2, 0)
    assert Growth().drained() == Growth(1, 0)


def test_free_places_bound_the_sessions_and_the_last_one_stays() -> None:
    grown = Growth(size=8)
    assert wanted_sessions(grown, max_listeners=10, free_places=3, is_open=True) == 3
    assert wanted_sessions(grown, max_listeners=10, free_places=0, is_open=True) == 1
    assert wanted_sessions(grown, max_listeners=2, free_places=9, is_open=True) == 2
    assert wanted_sessions(grown, max_listeners=10, free_places=9, is_open=False) == 0


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 50), st.integers(0, 50))
def test_an_open_group_always_wants_between_one_and_its_bound(
    events: list[bool], max_listeners: int, free_places: int
) -> None:
    growth = Growth()
    for was_delivered in events:
        growth = growth.delivered(max_listeners) if was_delivered else growth.drained()
        wanted = wanted_sessions(growth, max_listeners=max_listeners, free_places=free_places, is_open=True)
        assert 1 <= wanted <= max_listeners
        assert wanted <= max(1, free_places)
