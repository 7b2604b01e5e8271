"""Whose turn it is: few at a time, none beyond those that do not come up, and everybody in the end."""

from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.manager.fleet.rollout import Rollout
from actions_gateway.manager.gateway.release import Standing
from actions_gateway.manager.gateway.snapshot import Key
from actions_gateway.metrics.catalog import ROLLOUT_WAITING, Component
from actions_gateway.metrics.registry import Metrics


class World:
    """Tenants that roll when they get a turn."""

    def __init__(self, *standings: Standing, begun: bool = True) -> None:
        self.metrics = Metrics(Component.MANAGER, "1.0")
        self.turns: list[Key] = []
        self.rollout = Rollout(self.metrics, look_at=self.turns.append)
        self.standings = {(f"team-{number:03}", "ci"): standing for number, standing in enumerate(standings)}
        for key, standing in self.standings.items():
            self.rollout.observe(key, standing)
        if begun:
            self.rollout.begin()

    def look(self, key: Key, standing: Standing | None = None) -> bool:
        """A pass over one tenant, after which it is `standing`, or where it was; whether it might roll."""
        may_roll = self.rollout.may_roll(key, self.standings[key])
        self.standings[key] = standing or self.standings[key]
        self.rollout.observe(key, self.standings[key])
        return may_roll

    @property
    def waiting(self) -> float | None:
        return self.metrics.value(ROLLOUT_WAITING)


def names(keys: list[Key]) -> list[str]:
    return [namespace for namespace, _ in keys]


def test_three_of_twenty_at_a_time_and_the_next_when_one_is_up() -> None:
    world = World(*[Standing.WAITING] * 20)
    assert names(world.turns) == ["team-000", "team-001", "team-002"]
    assert world.waiting == 20
    assert not world.look(("team-003", "ci"))
    first = world.turns[0]
    assert world.look(first, Standing.IN_FLIGHT)
    assert len(world.turns) == 3
    world.look(first, Standing.DONE)
    assert names(world.turns[3:]) == ["team-003"]
    assert world.waiting == 19


def test_one_in_twenty_of_many() -> None:
    assert len(World(*[Standing.WAITING] * 1000).turns) == 50


def test_one_that_does_not_come_up_holds_its_place_and_three_stop_the_rollout() -> None:
    world = World(*[Standing.WAITING] * 20)
    for key in list(world.turns):
        world.look(key, Standing.IN_FLIGHT)
        world.look(key, Standing.STUCK)
    assert len(world.turns) == 3
    assert world.waiting == 17
    assert not any(world.look((f"team-{number:03}", "ci")) for number in range(3, 20))
    world.look(world.turns[0], Standing.DONE)
    assert len(world.turns) == 4


def test_a_turn_whose_pass_fails_is_given_on_and_comes_back_after_all_others() -> None:
    world = World(*[Standing.WAITING] * 5)
    broken = list(world.turns)
    for key in broken:
        world.look(key)
        world.rollout.give_up(key)
    others = [("team-003", "ci"), ("team-004", "ci")]
    assert world.turns[3:] == others
    for key in others:
        world.look(key, Standing.IN_FLIGHT)
        world.look(key, Standing.DONE)
    # No pass is asked for: each comes back after its own pause, and may roll then.
    assert world.turns[5:] == []
    assert all(world.look(key) for key in broken)


def test_those_that_healed_without_a_turn_are_looked_at_when_they_get_one() -> None:
    world = World(*[Standing.WAITING] * 6)
    broken = list(world.turns)
    for key in broken:
        world.look(key)
        world.rollout.give_up(key)
    # Their own passes succeed before it is their turn again, so that no other pass comes by itself.
    assert not any(world.look(key) for key in broken[:2])
    for key in world.turns[3:]:
        world.look(key, Standing.IN_FLIGHT)
        world.look(key, Standing.DONE)
    assert sorted(world.turns[6:]) == broken[:2]


def test_only_a_turn_can_be_given_up() -> None:
    world = World(*[Standing.WAITING] * 4)
    world.rollout.give_up(("team-003", "ci"))
    assert names(world.turns) == ["team-000", "team-001", "team-002"]


def test_a_new_leader_gives_no_turn_before_it_knows_who_is_in_flight() -> None:
    world = World(*[Standing.WAITING] * 17, *[Standing.IN_FLIGHT] * 3, begun=False)
    assert world.turns == []
    assert world.waiting is None
    world.rollout.begin()
    assert world.turns == []
    assert world.look(("team-018", "ci"))
    world.look(("team-018", "ci"), Standing.DONE)
    assert len(world.turns) == 1


def test_those_that_hang_on_a_bad_release_go_first() -> None:
    world = World(*[Standing.WAITING] * 17, *[Standing.HANGING] * 3)
    assert names(world.turns) == ["team-017", "team-018", "team-019"]


def test_a_turn_that_could_not_be_used_is_kept_and_one_of_a_gateway_that_went_is_given_on() -> None:
    world = World(*[Standing.WAITING] * 20)
    first = world.turns[0]
    assert world.look(first)
    assert world.look(first)
    assert len(world.turns) == 3
    world.rollout.observe(first, None)
    assert len(world.turns) == 4
    assert world.waiting == 19


def test_a_release_that_everybody_has_gives_no_turns() -> None:
    world = World(*[Standing.DONE] * 20)
    assert world.turns == []
    assert world.waiting == 0


@given(st.integers(1, 120), st.lists(st.integers(0, 10**6), max_size=400), st.booleans())
def test_never_too_many_between_two_releases_and_everybody_arrives(
    count: int, order: list[int], changes_leader: bool
) -> None:
    world = World(*[Standing.WAITING] * count)
    limit = max(3, count // 20)
    for step, choice in enumerate(order):
        moving = [key for key in world.turns if world.standings[key] is not Standing.DONE]
        if not moving:
            break
        key = moving[choice % len(moving)]
        is_flying = world.standings[key] is Standing.IN_FLIGHT
        world.look(key, Standing.DONE if is_flying else Standing.IN_FLIGHT)
        assert sum(standing is Standing.IN_FLIGHT for standing in world.standings.values()) <= limit
        if changes_leader and step % 50 == 49:
            world = World(*world.standings.values())
    for _ in range(2 * count):
        for key in list(world.turns):
            world.look(key, Standing.DONE)
    assert set(world.standings.values()) == {Standing.DONE}
