"""The algebra of field sets that server-side apply rests on."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.apiserver.fieldsets import compare, decode, difference, encode, field_set, intersection, union
from gateway_sandbox.apiserver.schema import ANY

NAMES = st.sampled_from(["a", "b", "c"])
OBJECTS = st.recursive(st.integers(0, 2), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8).filter(
    lambda value: isinstance(value, dict)
)
SETS = OBJECTS.map(lambda value: field_set(ANY, value))


@given(SETS)
def test_a_set_survives_its_stored_form(fields: dict[str, Any]) -> None:
    assert decode(encode(fields)) == fields


@given(SETS, SETS)
def test_what_two_sets_share_and_what_only_one_has_make_up_that_one(
    left: dict[str, Any], right: dict[str, Any]
) -> None:
    shared, own = intersection(left, right), difference(left, right)
    assert union(shared, own) == left
    assert intersection(own, right) == {}
    assert difference(shared, right) == {}


@given(OBJECTS, OBJECTS)
def test_what_changes_one_way_is_undone_the_other_way(old: dict[str, Any], new: dict[str, Any]) -> None:
    changed, removed = compare(ANY, old, new)
    back, gone = compare(ANY, new, old)
    assert (changed == {} and removed == {}) == (old == new)
    assert intersection(changed, removed) == {}
    assert difference(removed, back) == {}
    assert difference(gone, changed) == {}
