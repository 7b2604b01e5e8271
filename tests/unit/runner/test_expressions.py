"""Workflow expressions: grammar, coercions and functions as GitHub documents them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.runner.expressions import MAXIMUM_DEPTH, ExpressionError, Scope, parse
from gateway_sandbox.runner.values import loosely_equal, to_number, to_text

CONTEXTS: dict[str, Any] = {
    "github": {
        "ref": "refs/heads/main",
        "run_number": 12,
        "event": {"commits": [{"id": "a"}, {"id": "b"}, {"nope": 1}], "pull_request": None},
    },
    "env": {"NAME": "Mona", "EMPTY": "", "my-var": "dash"},
    "matrix": {"os": "linux", "sizes": [1, 2, 3], "deep": {"key": True}},
    "needs": {"a": {"result": "success", "outputs": {"x": "1"}}, "b": {"result": "failure", "outputs": {}}},
    "steps": {},
}


def evaluate(text: str, status: dict[str, bool] | None = None) -> Any:
    answers = {name: (lambda value=value: value) for name, value in (status or {}).items()}
    return parse(text).evaluate(Scope(CONTEXTS, answers))


CASES: list[tuple[str, Any]] = [
    # literals
    ("null", None),
    ("true", True),
    ("False", False),
    ("-9.2", -9.2),
    ("0xff", 255),
    ("-2.99e-2", -0.0299),
    ("'it''s'", "it's"),
    ("''", ""),
    # access
    ("github.ref", "refs/heads/main"),
    ("GITHUB.REF", "refs/heads/main"),
    ("github['ref']", "refs/heads/main"),
    ("github.nothing.at.all", None),
    ("env.my-var", "dash"),
    ("matrix.sizes[1]", 2),
    ("matrix.sizes['1']", 2),
    ("matrix.sizes[9]", None),
    ("matrix.sizes[-1]", None),
    ("github[format('r{0}', 'ef')]", "refs/heads/main"),
    ("github.event.commits.*.id", ["a", "b"]),
    ("github.event.commits[*].id", ["a", "b"]),
    ("needs.*.result", ["success", "failure"]),
    ("needs.*.outputs.x", ["1"]),
    ("github.event.pull_request.number", None),
    # logic: operands are given back
    ("env.NAME || 'nobody'", "Mona"),
    ("env.EMPTY || 'nobody'", "nobody"),
    ("env.NAME && 'yes'", "yes"),
    ("env.EMPTY && 'yes'", ""),
    ("matrix.os == 'linux' && 'tux' || 'other'", "tux"),
    ("!env.EMPTY", True),
    ("!!env.NAME", True),
    ("!!!env.NAME", False),
    ("!true || true", True),
    ("true || false && false", True),
    ("(true || false) && false", False),
    # equality
    ("'ABC' == 'abc'", True),
    ("'1' == 1", True),
    ("'' == 0", True),
    ("null == 0", True),
    ("null == ''", True),
    ("true == 1", True),
    ("true == '1'", True),
    ("'true' == true", False),
    ("'abc' == 0", False),
    ("'0x10' == 16", True),
    ("matrix == matrix", True),
    ("matrix.sizes == matrix.deep", False),
    ("matrix.sizes == 0", False),
    ("1 != 2", True),
    ("matrix.nope != 'x'", True),
    # order
    ("1 < 2", True),
    ("2 <= 2", True),
    ("'b' > 'A'", True),
    ("'10' > 9", True),
    ("'ten' > 9", False),
    ("'ten' <= 9", False),
    ("null < 1", True),
    ("matrix.sizes > 0", False),
    ("1 < 2 == true", True),
    # functions
    ("contains('Hello world', 'LLO')", True),
    ("contains(matrix.sizes, 2)", True),
    ("contains(matrix.sizes, '2')", True),
    ("contains(matrix.sizes, 9)", False),
    ("contains(needs.*.result, 'failure')", True),
    ("contains(matrix.deep, 'key')", False),
    ("contains(fromJSON('[\"a\", \"B\"]'), 'b')", True),
    ("startsWith('refs/tags/v1', 'REFS/TAGS')", True),
    ("startsWith(github.ref, 'refs/tags')", False),
    ("endsWith('main.yml', '.YML')", True),
    ("format('{0} and {1} and {0}', 'a', 2)", "a and 2 and a"),
    ("format('{{{0}}}', 'x')", "{x}"),
    ("join(matrix.sizes)", "1,2,3"),
    ("join(matrix.sizes, ' + ')", "1 + 2 + 3"),
    ("join('alone', '-')", "alone"),
    ("toJSON(matrix.sizes)", "[\n  1,\n  2,\n  3\n]"),
    ("toJSON('a\"b')", '"a\\"b"'),
    ("toJSON(null)", "null"),
    ("fromJSON('{\"a\": [1, true]}').a[1]", True),
    ("fromJSON('3') + 0", ExpressionError),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[case[0] for case in CASES])
def test_an_expression_has_this_value(text: str, expected: Any) -> None:
    if expected is ExpressionError:
        with pytest.raises(ExpressionError):
            evaluate(text)
        return
    value = evaluate(text)
    assert value == expected
    assert isinstance(value, bool) is isinstance(expected, bool)


FAULTS = [
    ("", "Unexpected end of expression"),
    ("github.", "Unexpected end of expression"),
    ("1 +", "Unexpected symbol: '+'"),
    ("'open", 'Unexpected symbol: "\'open"'),
    ('"double"', "Unexpected symbol: '\"double\"'"),
    ("a.b", "Unrecognized named-value: 'a'"),
    ("nope(1)", "Unrecognized function: 'nope'"),
    ("contains('a')", "Too few parameters supplied to function 'contains'"),
    ("success(1)", "Too many parameters"),
    ("github.ref github.ref", "Unexpected symbol: 'github'"),
    ("format('{', 1)", "format string is invalid"),
    ("format('{1}', 1)", "references more arguments"),
    ("fromJSON('{')", "Error reading JSON"),
    ("hashFiles('**/lock')", "hashFiles() is not supported by the sandbox"),
    ("secrets.TOKEN", "the context 'secrets' is not available here"),
    ("success()", "success() can be used in conditions only"),
    ("(" * (MAXIMUM_DEPTH + 5), "Exceeded max expression depth"),
    ("'" + "x" * 30_000 + "'", "Exceeded max expression length"),
    ("12abc", "Unexpected symbol: '12abc'"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS, ids=[fault[0][:30] or "empty" for fault in FAULTS])
def test_a_fault_is_named(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert message in str(caught.value)


def test_a_fault_tells_its_place() -> None:
    with pytest.raises(ExpressionError, match="position 15 within expression"):
        parse("github.ref == ==")


def test_status_functions_ask_whoever_evaluates() -> None:
    assert evaluate("failure() && !cancelled()", {"failure": True, "cancelled": False}) is True
    assert evaluate("ALWAYS()", {"always": True}) is True


def test_an_expression_knows_what_it_uses() -> None:
    expression = parse("success() && contains(needs.a.outputs.x, Matrix.os)")
    assert expression.contexts == {"needs", "matrix"}
    assert expression.functions == {"success", "contains"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (True, "true"), (1.0, "1"), (0.1, "0.1"), (-0.0, "0"), (1e15, "1E+15"),
        (123456789012, "123456789012"),
        (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), ([], "Array"), ({}, "Object"),
    ],
)  # fmt: skip
def test_text_of_a_value(value: Any, text: str) -> None:
    assert to_text(value) == text


@pytest.mark.parametrize("text", ["1_000", "nan", "inf", "0x", "0xg", "1e", "--1", "٣", "1,5"])
def test_text_that_is_no_number_for_the_runner(text: str) -> None:
    assert math.isnan(to_number(text))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused_as_an_expression(text: str) -> None:
    try:
        parse(text)
    except ExpressionError:
        pass


@given(st.text(max_size=40))
def test_a_quoted_literal_is_its_text(text: str) -> None:
    assert evaluate(quoted(text)) == text


@given(JSON_VALUES)
def test_from_json_undoes_to_json(value: Any) -> None:
    assert evaluate(f"fromJSON({quoted(json.dumps(value))})") == value
    text = parse("toJSON(github)").evaluate(Scope({"github": value}))
    assert json.loads(text) == value


@given(JSON_VALUES, JSON_VALUES)
def test_equality_has_no_direction(left: Any, right: Any) -> None:
    assert loosely_equal(left, right) is loosely_equal(right, left)


LOGIC = st.recursive(
    st.sampled_from(["true", "false"]),
    lambda inner: (
        inner.map(lambda text: f"!({text})")
        | inner.map(lambda text: f"({text})")
        | st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join)
    ),
    max_leaves=8,
)


@given(LOGIC)
def test_logic_is_pythons_logic(text: str) -> None:
    python = text.replace("&&", "and").replace("||", "or").replace("!", " not ")
    expected = eval(python, {"true": True, "false": False})
    assert evaluate(text) is expected
