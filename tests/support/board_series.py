"""Series for promtool that answer every query of every board, of clusters that one Prometheus watches or two do."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from support.promql import known_labels

FULL, IDLE, GONE = "full", "idle", "gone"
"""Tenants: one of whom everything is told, one of whom all is 0, one whose processes are gone."""
MINUTES = 90
INTERVAL = "15s"
"""Of samples: the shortest window of a board has some."""
SAMPLES = MINUTES * 4
_REPLICAS = ("a", "b")
_ENDED = {m.BUILD_INFO.name, m.PROXY_READY_REPLICAS.name, foreign.PROXY_LIVE.name}
_FAILURES = {"5xx", "error"}
_BOUNDS = ("1", "+Inf")
_SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)\{((?:[^"}]|"[^"]*")*)\}')
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')

Labels = Mapping[str, str]


def input_series(expressions: Iterable[str], cluster: str, *, is_told_twice: bool) -> Iterator[dict[str, str]]:
    """promtool's entries; twice means by two Prometheus servers that write into one store, alerts for two reasons."""
    chosen = dict.fromkeys(each for expression in expressions for each in _chosen(expression))
    for name, labels in chosen:
        for tenant in (FULL, IDLE, GONE):
            if values := _values(name, dict(labels), tenant):
                for copy in _copies(name) if is_told_twice else ({},):
                    about = {**_labels(name), **dict(labels), "cluster": cluster, "namespace": tenant, **copy}
                    matchers = ",".join(f'{label}="{value}"' for label, value in about.items())
                    yield {"series": f"{name}{{{matchers}}}", "values": values}


def _chosen(expression: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Name and labels of the series that the expression chooses: one for each value that a matcher names."""
    # What is chosen by nothing stands without braces.
    for name in known_labels():
        if re.search(rf"(?<![\w:]){name}(?![\w:{{])", expression):
            yield name, ()
    for name, matchers in _SELECTOR.findall(expression):
        named = {
            label: value.replace(".*", "x").split("|") if sign == "=~" else [value]
            for label, sign, value in _MATCHER.findall(matchers)
            if label not in ("cluster", "namespace", "runner_group", "exported_namespace")
        }
        if name.endswith("_bucket"):
            named["le"] = list(_BOUNDS)
        for values in itertools.product(*named.values()):
            yield name, tuple(zip(named, values, strict=True))


def _labels(name: str) -> dict[str, str]:
    return dict.fromkeys(sorted(known_labels()[name] - {"exported_namespace"}), "x")


def _copies(name: str) -> Iterator[Labels]:
    """The labels in which they differ."""
    is_alert = name in {foreign.ALERTS_SERIES.name, foreign.ALERTS_SINCE.name}
    for replica, arm in itertools.product(_REPLICAS, _REPLICAS if is_alert else ("",)):
        yield {"prometheus_replica": replica, **({"arm": arm} if arm else {})}


def _values(name: str, labels: Labels, tenant: str) -> str:
    """Samples of all minutes; empty where there is none."""
    if tenant == GONE and (name in _ENDED or not {labels.get("code_class", "5xx")} <= _FAILURES):
        return ""
    if tenant == IDLE:
        return f"0x{SAMPLES}"
    # Counters have to rise; what is cumulative rises faster.
    return f"1+{2 if labels.get('le') == _BOUNDS[-1] else 1}x{SAMPLES}"
