"""The bootstrap's text: the same data in fewer bytes."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.api.egress import PUBLIC_ONLY
from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.proxy.bootstrap import build_bootstrap
from actions_gateway.proxy.rendering import render
from support import manager_objects as make

LONG = "type.googleapis.com/envoy.some.Message"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"a": "short", "b": ["short", "short"]}, '{"a":"short","b":["short","short"]}'),
        ({"a": LONG}, f'{{"a":"{LONG}"}}'),
        ({"a": LONG, "b": [LONG, LONG]}, f'{{"a":&r0 "{LONG}","b":[*r0,*r0]}}'),
        ({LONG: {LONG: 1}}, f'{{"{LONG}":{{"{LONG}":1}}}}'),
    ],
    ids=["short", "once", "long and repeated", "keys"],
)
def test_only_long_values_that_stand_more_than_once_are_referred_to(document: dict[str, Any], text: str) -> None:
    assert render(document) == text


VALUES = st.recursive(
    st.sampled_from([LONG, LONG + "2", 'a "quoted" text of some length', "back\\slash: of some length, too", "", "a"])
    | st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=30)
    | st.integers()
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", LONG]), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a", "b", LONG]), VALUES, max_size=3))
def test_it_reads_back_as_the_same(document: dict[str, Any]) -> None:
    assert yaml.safe_load(render(document)) == document


def test_a_gateways_bootstrap_takes_three_quarters_of_its_json() -> None:
    bootstrap = build_bootstrap(parse_gateway_spec("ci", make.gateway()["spec"]), PUBLIC_ONLY)
    assert len(render(bootstrap)) < 0.75 * len(json.dumps(bootstrap, separators=(",", ":")))
