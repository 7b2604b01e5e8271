"""Rows of equal answers become verdicts."""

import pytest

from gateway_sandbox.nodes.probes import ProbeTiming, Thresholds


def verdicts(answers: str, *, success: int = 1, failure: int = 3) -> str:
    """Answers and verdicts as letters: + is success, - is failure, . is no verdict."""
    timing = ProbeTiming.of({"successThreshold": success, "failureThreshold": failure})
    thresholds = Thresholds(timing)
    words = {True: "+", False: "-", None: "."}
    return "".join(words[thresholds.add(answer == "+")] for answer in answers)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param("+", "+", id="one success is enough by default"),
        pytest.param("---", "..-", id="three failures in a row are needed by default"),
        pytest.param("--+--+", "..+..+", id="a success in between starts the row anew"),
        pytest.param("-----", "..---", id="the verdict stays while the answers do"),
    ],
)
def test_answers_in_a_row_make_a_verdict(answers: str, expected: str) -> None:
    assert verdicts(answers) == expected


def test_a_success_threshold_asks_for_several_successes() -> None:
    assert verdicts("+-+++", success=3, failure=1) == ".-..+"


def test_the_defaults_are_the_apis() -> None:
    assert ProbeTiming.of({}) == ProbeTiming(0, 10, 1, 1, 3)
