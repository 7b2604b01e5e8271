"""PromQL in pages: its expressions, the series that they read, and by which labels. Whether it parses promtool says."""

import functools
import re
from collections.abc import Iterator

from actions_gateway.metrics.catalog import CATALOG, Kind
from gw_alerts.catalog import ALERTS
from gw_alerts.foreign import ALERTS_SERIES, ALERTS_SINCE, FOREIGN
from gw_alerts.recordings import RECORDINGS
from gw_alerts.slos import long_recordings, recent_recordings

_BLOCK = re.compile(r"^ *```promql\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_STRING = r'"(?:[^"\\]|\\.)*"'
_SELECTOR = re.compile(rf"(?P<name>[a-zA-Z_:][\w:]*)\s*\{{(?P<matchers>(?:{_STRING}|[^\"}}])*)\}}")
_MATCHER = re.compile(rf"(\w+)\s*(?:=~|!~|!=|=)\s*{_STRING}")
_CLAUSE = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_ASIDE = re.compile(rf"{_STRING}|\[[^\]]*\]|\boffset\s+\w+|\b[0-9][\w.+-]*")
_WORD = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()")
_OPERATORS = {"and", "or", "unless", "bool", "inf", "nan"}

OF_TARGETS = frozenset({"cluster", "namespace", "exported_namespace", "pod", "job", "instance", "container"})
"""Labels that a scrape brings, or whoever collects from several clusters."""


def expressions_in(text: str) -> Iterator[str]:
    """Each expression of a page's blocks: one begins where a line is not indented."""
    for block in _BLOCK.findall(text):
        yield from (found.strip() for found in re.split(r"\n(?! )", block) if found.strip())


def selections(expression: str) -> set[tuple[str, frozenset[str]]]:
    """(series, labels that it is chosen by) of an expression."""
    chosen = {
        (found["name"], frozenset(_MATCHER.findall(found["matchers"]))) for found in _SELECTOR.finditer(expression)
    }
    rest = _ASIDE.sub(" ", _CLAUSE.sub(" ", _SELECTOR.sub(" ", expression)))
    return chosen | {(word, frozenset()) for word in _WORD.findall(rest) if word.lower() not in _OPERATORS}


def series_in(expression: str) -> set[str]:
    """The names of the series that an expression reads, those behind recordings too, which may read themselves."""
    found, new = set[str](), {name for name, _ in selections(expression)}
    while new:
        found |= new
        new = {name for each in new if each in RECORDED for name, _ in selections(RECORDED[each])} - found
    return found


_RECORDINGS = (*RECORDINGS, *recent_recordings(), *long_recordings())
RECORDED = {
    name: " or ".join(each.expression for each in _RECORDINGS if each.name == name)
    for name in {each.name for each in _RECORDINGS}
}
"""By name, what is recorded under it, whatever labels it is given."""


@functools.cache
def known_labels() -> dict[str, frozenset[str]]:
    """By every series that is there, the labels that one may choose by."""
    parts = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    own = {
        metric.name + part: frozenset(metric.labels) | ({"le"} if part == "_bucket" else set())
        for metric in CATALOG
        for part in parts.get(metric.kind, ("",))
    }
    given = frozenset(label for each in _RECORDINGS for label in each.labels)
    recorded = {name: given | {"runner_group", "name"} for name in RECORDED}
    foreign = {each.name: frozenset(each.labels) for each in FOREIGN}
    static = frozenset(label for alert in ALERTS for arm in alert.arms for label in alert.static_labels(arm))
    alerts = {each.name: frozenset(each.labels) | static for each in (ALERTS_SERIES, ALERTS_SINCE)}
    known = {**own, **recorded, **foreign, **alerts}
    return {name: labels | OF_TARGETS for name, labels in known.items()}
