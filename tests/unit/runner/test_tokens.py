"""Template tokens and tagged context values: text with expressions in it, and the wire forms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.runner.contextdata import decode_context, encode_context
from gateway_sandbox.runner.expressions import ExpressionError, Scope
from gateway_sandbox.runner.tokens import evaluate_token, split_template, text_token

SCOPE = Scope({"env": {"A": "alpha", "N": 3}, "github": {"actor": "o'brien {x}"}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${{ env.A }}", "alpha"),
        ("${{ env.N }}", 3),
        ("<${{ env.A }}>", "<alpha>"),
        ("${{ env.A }}-${{ env.N }}", "alpha-3"),
        ("{braces} 'quotes' ${{ env.A }}", "{braces} 'quotes' alpha"),
        ("${{ 'a }} b' }}", "a }} b"),
        ("${{ '${{' }}", "${{"),
        ("hi ${{ github.actor }}!", "hi o'brien {x}!"),
        ("$ {{ not one }}", "$ {{ not one }}"),
        ("two\nlines ${{ env.A }}", "two\nlines alpha"),
    ],
)
def test_text_with_expressions(text: str, value: Any) -> None:
    assert evaluate_token(text_token(text), SCOPE) == value


@pytest.mark.parametrize("text", ["${{ env.A", "x ${{ 'open }}", "${{ }}", "${{ what }}", "a ${{ env. }} b"])
def test_a_broken_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        text_token(text)


@given(st.lists(st.text(alphabet="ab{}'$ \n", max_size=6), min_size=1, max_size=4))
def test_text_around_expressions_survives(parts: list[str]) -> None:
    if "${{" in "".join(parts):
        return
    text = "${{ env.A }}".join(parts)
    assert evaluate_token(text_token(text), SCOPE) == "alpha".join(parts)


def test_splitting_keeps_the_order() -> None:
    assert split_template("a${{ x }}b") == [(False, "a"), (True, "x"), (False, "b")]


def test_all_kinds_of_tokens_are_evaluated() -> None:
    token = {
        "type": 2,
        "map": [
            {"key": "list", "value": {"type": 1, "seq": [1, {"type": 3, "expr": "env.A"}]}},
            {"key": {"type": 3, "expr": "env.A"}, "value": {"type": 0, "lit": "text"}},
            {"key": "bool", "value": {"type": 5, "bool": True}},
            {"key": "number", "value": {"type": 6, "num": 2.5}},
            {"key": "null", "value": {"type": 7}},
        ],
    }
    assert evaluate_token(token, SCOPE) == {
        "list": [1, "alpha"], "alpha": "text", "bool": True, "number": 2.5, "null": None,
    }  # fmt: skip


def test_a_token_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ExpressionError, match="type 4"):
        evaluate_token({"type": 4}, SCOPE)


CONTEXT_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(CONTEXT_VALUES)
def test_a_context_value_survives_the_wire(value: Any) -> None:
    assert decode_context(json.loads(json.dumps(encode_context(value)))) == value


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("plain", "plain"),
        ({"t": 0, "s": "text"}, "text"),
        ({"s": "untagged"}, "untagged"),
        ({"t": 3, "b": True}, True),
        ({"t": 4, "n": 1.5}, 1.5),
        ({"t": 1}, []),
        ({"t": 5, "d": [{"k": "K", "v": {"t": 1, "a": ["x"]}}]}, {"K": ["x"]}),
        ({"t": 2, "d": [{"k": "missing"}]}, {"missing": None}),
    ],
)
def test_tagged_values_are_read(wire: Any, value: Any) -> None:
    assert decode_context(wire) == value


def test_an_unknown_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown type 9"):
        decode_context({"t": 9})
