"""Rule files as data, read without the catalogue that wrote them: mutation changes that before anybody loads it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]
Rule = dict[str, Any]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def rules_in(document: Document) -> Iterator[Rule]:
    """Those of all groups."""
    for group in document["groups"]:
        yield from group["rules"]


def title_of(rule: Mapping[str, Any]) -> str:
    """The rule's alert or record."""
    return str(rule.get("alert") or rule["record"])


def needed_rules(document: Document, test: Document) -> Document:
    """The rules that a test file's looks need, themselves and what they read: promtool evaluates all it is given."""
    text = repr([[look for key, look in each.items() if key.endswith("_test")] for each in test["tests"]])
    rules = list(rules_in(document))
    wanted = {title_of(rule) for rule in rules if re.search(rf"(?<![\w:]){re.escape(title_of(rule))}(?![\w:])", text)}
    read = {title_of(rule): set[str]() for rule in rules}
    for rule in rules:
        read[title_of(rule)] |= set(_NAME.findall(rule["expr"])) & read.keys()
    while more := {other for name in wanted for other in read[name]} - wanted:
        wanted |= more
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if title_of(rule) in wanted]}
        for group in document["groups"]
    ]
    return {"groups": [group for group in groups if group["rules"]]}
