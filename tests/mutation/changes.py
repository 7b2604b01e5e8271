"""The changes that are tried: of a rule's text, its waiting, its severity."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Rule = dict[str, Any]

_MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}
_BRACES = re.compile(r"\{[^{}]*\}")
_BUCKET = re.compile(r'(?<=le=~")\d+')
_DURATION = re.compile(r"(?:(?<=\[)|(?<=:)|(?<=offset ))(\d+)([smhd])(?=[\])\s:]|$)")
_NUMBER = re.compile(r"(?<![\w.:\[\"])\d+(?:\.\d+)?(?![\w.\"])")
_COMPARISON = re.compile(r"(?<=\s)(>=|<=|==|!=|>|<)(?=\s)")
_OTHER_SIGN = {">": ">=", ">=": ">", "<": "<=", "<=": "<", "==": "!=", "!=": "=="}
_OTHER_SEVERITY = {"page": "ticket", "ticket": "page", "info": "ticket"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a rule file."""

    group: int
    rule: int
    name: str
    """The rule's alert, with its arm, or its record."""
    what: str
    changed: Rule = field(hash=False)

    def applied(self, document: Document) -> Document:
        """The rule file with it."""
        changed = copy.copy(document)
        changed["groups"] = [copy.copy(group) for group in document["groups"]]
        rules = list(changed["groups"][self.group]["rules"])
        rules[self.rule] = self.changed
        changed["groups"][self.group]["rules"] = rules
        return changed


def changes_of(document: Document) -> Iterator[Change]:
    """Every change of every rule, in the file's order."""
    for group_number, group in enumerate(document["groups"]):
        for number, rule in enumerate(group["rules"]):
            tried = [rule]
            for what, changed in _of_rule(rule):
                if changed not in tried:
                    tried.append(changed)
                    yield Change(group_number, number, name_of(rule), what, changed)


def name_of(rule: Rule) -> str:
    """What a rule is called here."""
    own = rule.get("labels") or {}
    mark = own.get("arm") or own.get("slo", "") * ("record" in rule)
    return " ".join(filter(None, (rule.get("alert") or rule.get("record"), mark)))


def _of_rule(rule: Rule) -> Iterator[tuple[str, Rule]]:
    expression = str(rule["expr"])
    own = rule.get("labels") or {}
    for start, end, text in _of_expression(expression):
        before = expression[start:end]
        shown = f"{expression[max(0, start - 20) : start]}[{before} -> {text}]"
        if "alert" in rule and "slo" in own and (pair := _pair(expression, start, before, text)):
            yield shown, {**rule, "expr": pair}
        else:
            yield shown, {**rule, "expr": expression[:start] + text + expression[end:]}
    for key in ("for", "keep_firing_for"):
        if key in rule and (minutes := _minutes(rule[key])) is not None:
            for other in {minutes + 1, max(0, minutes - 1)} - {minutes}:
                yield f"{key}: {rule[key]} -> {other:g}m", {**rule, key: f"{other:g}m"}
    if severity := (rule.get("labels") or {}).get("severity"):
        other_severity = _OTHER_SEVERITY[severity]
        labels = {**rule["labels"], "severity": other_severity}
        yield f"severity: {severity} -> {other_severity}", {**rule, "labels": labels}


def _pair(expression: str, start: int, before: str, text: str) -> str:
    """Of a budget's alert: the change in both windows of a pair, which have one number and one sign; else empty."""
    if _NUMBER.fullmatch(before):
        return re.sub(rf"(?<=> ){re.escape(before)}(?![\w.])", text, expression)
    bound = re.match(r"> ([\d.]+)", expression[start:])
    return re.sub(rf"> {re.escape(bound[1])}(?![\w.])", f"{text} {bound[1]}", expression) if bound else ""


def _of_expression(expression: str) -> Iterator[tuple[int, int, str]]:
    """Where, and by what: inside of a selector's braces the bounds of buckets alone are numbers."""
    selectors = [found.span() for found in _BRACES.finditer(expression)]
    for found in _DURATION.finditer(expression):
        number, unit = int(found[1]), found[2]
        yield *found.span(), f"{2 * number}{unit}"
        yield *found.span(), f"{round(number * _MINUTES[unit] * 60 / 2)}s"
    for found in _BUCKET.finditer(expression):
        yield *found.span(), str(int(found[0]) + 1)
    for found in _COMPARISON.finditer(expression):
        if not _is_within(found.start(), selectors):
            yield *found.span(), _OTHER_SIGN[found[0]]
    for found in _NUMBER.finditer(expression):
        if not _is_within(found.start(), selectors):
            for other in _other_numbers(float(found[0])):
                yield *found.span(), repr(other) if other != int(other) else f"{other:g}"


def _other_numbers(number: float) -> Iterator[float]:
    """A tenth more and less, of a whole number at least one."""
    if number == int(number):
        step = max(1, int(number) // 10)
        yield number + step
        if number:
            yield number - step
    else:
        yield from (float(f"{number * 1.1:.4g}"), float(f"{number * 0.9:.4g}"))


def _minutes(text: str) -> float | None:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    return int(found[1]) * _MINUTES[found[2]] if found else None


def _is_within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)
