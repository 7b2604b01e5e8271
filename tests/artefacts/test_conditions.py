"""Every condition and reason of the vocabulary is produced by code, and told on the page that lists them."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from actions_gateway.api.conditions import ConditionType, Reason
from support.own_events import own_events

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "runbooks" / "procedures" / "conditions.md").read_text(encoding="utf-8")
PRODUCERS = ("agent", "manager")
READERS = ("announcements.py",)
"""They only react to what others decided."""

WORDS = frozenset(re.findall(r"`([A-Z]\w+)`", PAGE))
OTHER_WORDS = frozenset({"Unknown"})


def produced(word: StrEnum) -> bool:
    spelled = re.compile(rf"\b{type(word).__name__}\.{word.name}\b")
    package = ROOT / "controller" / "actions_gateway"
    paths = (path for room in PRODUCERS for path in (package / room).rglob("*.py") if path.name not in READERS)
    return any(spelled.search(path.read_text(encoding="utf-8")) for path in paths)


@pytest.mark.parametrize("word", [*ConditionType, *Reason], ids=lambda word: f"{type(word).__name__} {word}")
def test_it_is_produced_and_told(word: StrEnum) -> None:
    assert produced(word), f"no code says {word}"
    assert word.value in WORDS, f"{word} is not on the page"


def test_the_page_tells_of_nothing_else() -> None:
    assert {*ConditionType, *Reason} | own_events() | OTHER_WORDS >= WORDS


def test_the_page_names_the_reasons_that_a_gateway_which_is_not_served_gives_its_workloads() -> None:
    manager = ROOT / "controller" / "actions_gateway" / "manager" / "gateway"
    refusals = re.findall(r"\bRefusal\(\s*Reason\.(\w+)", (manager / "decide.py").read_text(encoding="utf-8"))
    (paragraph,) = (text for text in PAGE.split("\n\n") if text.startswith("A gateway that is not served"))
    assert {Reason[name] for name in refusals} == set(re.findall(r"`([A-Z]\w+)`", paragraph)) - {"Ready"}
