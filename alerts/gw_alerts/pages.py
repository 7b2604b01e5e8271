"""The parts of runbook pages that are the catalogue's: what fires when, the rules themselves, and what pages.

A page holds them between two marks. Everything else of it is written by hand, and no number of an alert is.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from gw_alerts import slos
from gw_alerts.catalog import ALERTS, jobs, proxies, sessions
from gw_alerts.catalog import components as parts
from gw_alerts.catalog import credentials as access
from gw_alerts.expressions import JUST_CLAIMED
from gw_alerts.model import Alert, Arm
from gw_alerts.recordings import RECORDINGS
from gw_alerts.routing import INHIBITIONS, Inhibition
from gw_alerts.thresholds import OURS, Severity, Threshold

FOLDER = Path(__file__).parents[2] / "runbooks"
"""Only in a checkout."""
ALERTING = "runbooks/procedures/alerting.md"
"""The page with the two tables of the production runbook."""

WORTH: Mapping[str, tuple[Alert, ...]] = {
    "active_sessions = 0 — no jobs can be acquired until fixed.": (sessions.NO_ACTIVE_SESSIONS, parts.AGENT_DOWN),
    "renewjob_errors_total rate high — jobs will be cancelled.": (jobs.RENEWJOB_ERRORS_ALERT,),
    "token_refresh_errors_total spiking — token will expire within ~1 hour.": (access.TOKEN_REFRESH_ERRORS,),
    "pod_creation_latency p99 > 60s — scheduling is stalled.": (jobs.POD_CREATION_P99,),
    "RateLimited condition > 10 minutes — installation is over budget.": (access.RATE_LIMITED,),
    "AGC pod in OOMKilled / CrashLoopBackOff.": (parts.AGENT_OOM_KILLED, parts.AGENT_CRASH_LOOPING),
    "pod_creation_latency p95 > 15s — degraded but jobs are completing.": (jobs.POD_CREATION_P95,),
    "eviction_retries_exhausted_total incrementing — jobs require manual re-run.": (jobs.EVICTION_RETRIES_EXHAUSTED,),
    "reconcile_errors_total non-zero — investigate before it becomes a page.": (
        parts.RECONCILE_ERRORS_ALERT,
        parts.RECONCILE_STUCK,
    ),
    "HPA metric unknown — autoscaling broken; proxy may not handle burst load.": (proxies.AUTOSCALER_BLIND,),
}
"""The lines of the production runbook's list "Page-Worthy vs. Ticket-Worthy", and what stands for each."""

_END = "<!-- end of generated -->"
_BLOCK = re.compile(rf"^<!-- generated: (?P<name>[a-z-]+) -->\n.*?^{re.escape(_END)}$", re.DOTALL | re.MULTILINE)
_MEMORY = re.compile(r"last_over_time\([^()]*(?:\([^()]*\))?[^()]*\[\w+\]")
_WINDOW = re.compile(r"(?:\[|offset )(\d+)([smhd])\b")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_QUANTILES = {each.name: each.expression for each in RECORDINGS if not each.name.endswith(":remembered")}
_TEMPLATE = re.compile(r"{{ \$(?:labels\.(?P<label>\w+)|value)[^}]*}}")
_PLACES = {"namespace": "TENANT", "runner_group": "GROUP", "name": "GATEWAY", "pod": "POD"}
_WIDTH = 120
"""Of a line of a rule, where clauses allow."""
_PLURAL = re.compile(r"s\b")
_CLAUSE = re.compile(r" (?=(?:or|and|unless) )")


def render_page(path: str, text: str) -> str:
    """The page with its generated parts as the catalogue has them; raises KeyError for a part of an unknown name.

    `path` goes from the project's root.
    """
    return fill(path, text, _RENDERERS)


def fill(path: str, text: str, renderers: Mapping[str, Callable[[str], Iterable[str]]]) -> str:
    """The text with each generated part as its renderer makes it of the path; raises KeyError for an unknown name."""

    def render(found: re.Match[str]) -> str:
        lines = renderers[found["name"]](path)
        return "\n".join([f"<!-- generated: {found['name']} -->", *lines, _END])

    return _BLOCK.sub(render, text)


def outdated_pages(folder: Path = FOLDER) -> list[str]:
    """The pages below the runbooks' folder whose generated parts are not what the catalogue says, by their paths."""
    return [path.relative_to(folder).as_posix() for path, text, wanted in _rendered(folder) if text != wanted]


def write_pages(folder: Path = FOLDER) -> None:
    """Renews the generated parts of all pages below the runbooks' folder."""
    for path, text, wanted in _rendered(folder):
        if text != wanted:
            path.write_text(wanted, encoding="utf-8")


def _rendered(folder: Path) -> Iterator[tuple[Path, str, str]]:
    for path in sorted(folder.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        yield path, text, render_page(f"runbooks/{path.relative_to(folder).as_posix()}", text)


def looks_back_seconds(arm: Arm) -> int:
    """For how long at most a rule goes on holding for what is over: its longest window; 0 when it looks at now.

    A burn has two windows that must agree, so the short one ends it.
    """
    if pairs := [pair for pair in (*slos.FAST, *slos.SLOW) if _reads(arm, pair.long) and _reads(arm, pair.short)]:
        return max(_seconds(pair.short[:-1], pair.short[-1]) for pair in pairs)
    texts = [arm.expression, *(words for name, words in _QUANTILES.items() if name in arm.expression)]
    # What was claimed lately only makes it begin later.
    held = [_MEMORY.sub("", text.replace(JUST_CLAIMED, "")) for text in texts]
    windows = [found for text in held for found in _WINDOW.findall(text)]
    return max((_seconds(*found) for found in windows), default=0)


# -- parts


def _alerts(path: str) -> Iterator[str]:
    """What fires when, an anchor for each alert: the beginning of a page's Meaning."""
    yield from header("Alert", "Severity", "Says", "Fires at", "For", "Resolves")
    for alert in _of(path):
        for number, arm in enumerate(alert.arms):
            anchor = "" if number else f'<a id="{alert.anchor}"></a>'
            name = f"{anchor}{alert.name}{f', {arm.name}' if arm.name else ''}"
            yield row(name, alert.severity.value, _says(arm), _condition(alert, arm), waits(arm), _resolves(alert, arm))


def _rules(path: str) -> Iterator[str]:
    """The rules themselves, where their numbers come from, and what keeps them quiet."""
    for alert in _of(path):
        for arm in alert.arms:
            yield from ("", f"**{alert.name}**{f', {arm.name}' if arm.name else ''}", "", "```promql")
            yield from _lines_of(arm.expression)
            yield "```"
        notes = [
            *(f"- {threshold.subject}: {_source(threshold)}" for threshold in alert.thresholds),
            *(
                f"- quiet while {inhibition.source.name} fires for the same {', '.join(inhibition.equal)}:"
                f" {inhibition.why}"
                for inhibition in _inhibitions(alert)
            ),
        ]
        yield from ("", *notes) if notes else ()
    yield ""


def _runbook_metrics(path: str) -> Iterator[str]:
    """The production runbook's table to the letter, and what we make of each row."""
    yield from header("Metric", "Recommended threshold", "Severity", "Notes", "Alert", "For", "Beside the row")
    for alert in ALERTS:
        if not alert.seed:
            continue
        threshold = next(each for each in alert.thresholds if each.source.startswith(f"{alert.seed} |"))
        beside = [_condition(alert, arm) for arm in alert.arms if threshold not in arm.thresholds]
        holds = ", ".join(dict.fromkeys(map(waits, alert.arms)))
        metric, bound, severity, notes = threshold.source.split(" | ")
        ours = (_link(alert, path), holds, "; ".join(beside) or "-")
        yield row(f"`{metric}`", f"`{bound}`", severity, notes, *ours)


def _page_or_ticket(path: str) -> Iterator[str]:
    """Every alert by how soon somebody must act, with the production runbook's words for it."""
    for severity in Severity:
        alerts = [alert for alert in ALERTS if alert.severity is severity]
        yield from ("", f"**{severity.value.capitalize()}** ({_WITHIN[severity]}): {len(alerts)}", "")
        yield from header("Alert", "Fires when", "The production runbook's words")
        for alert in alerts:
            when = "; ".join(dict.fromkeys(_condition(alert, arm) for arm in alert.arms))
            words = [line for line, mapped in WORTH.items() if alert in mapped]
            yield row(_link(alert, path), when, *(words or ["-"]))
    yield ""


_RENDERERS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "alerts": _alerts,
    "rules": _rules,
    "runbook-metrics": _runbook_metrics,
    "page-or-ticket": _page_or_ticket,
}
_WITHIN = {
    Severity.PAGE: "act within 15 minutes",
    Severity.TICKET: "act within the next business day",
    Severity.INFO: "nobody is told; it keeps others quiet",
}


# -- words


def _of(path: str) -> list[Alert]:
    """Those of a page, the worst first."""
    return sorted((alert for alert in ALERTS if alert.page == path), key=lambda alert: alert.severity.rank)


def header(*titles: str) -> list[str]:
    """The head of a Markdown table."""
    return [row(*titles), f"|{'|'.join(' --- ' for _ in titles)}|"]


def row(*cells: str) -> str:
    """One row of it."""
    return f"| {' | '.join(cells)} |"


def _link(alert: Alert, path: str) -> str:
    """To the alert's place, from another page."""
    up = "../" * (path.count("/") - 1)
    return f"[{alert.name}]({up}{alert.page.removeprefix('runbooks/')}#{alert.anchor})"


def _says(arm: Arm) -> str:
    """The notification's words, with a page's places for whom it is about."""
    return _TEMPLATE.sub(lambda found: _PLACES.get(found["label"] or "", "N"), arm.summary)


def _condition(alert: Alert, arm: Arm) -> str:
    """In words, without a `|`."""
    if alert.is_always_firing:
        return "always; it is a problem when it does not"
    return "; ".join(map(_bound, arm.thresholds)) or "any"


def _bound(threshold: Threshold) -> str:
    match threshold.unit, threshold.comparison, threshold.value:
        case "state", _, _:
            return threshold.subject.removeprefix("1 while ")
        case _, ">", 0:
            return f"{threshold.subject}: any"
        case (_, "=", 0) | (_, "<", 1) if threshold.unit != "bytes per second":
            return f"{threshold.subject}: none"
    sign = {"<": "under", ">": "over", "=": "exactly", "<=": "at most", ">=": "at least"}[threshold.comparison]
    return f"{threshold.subject}: {sign} {_amount(threshold)}"


def _amount(threshold: Threshold) -> str:
    match threshold.unit:
        case "seconds":
            return _duration(threshold.value)
        case "of 1":
            return f"{threshold.value * 100:g} %"
        case unit if threshold.value == 1:
            return "1 " + _PLURAL.sub("", unit, count=1)
        case unit:
            return f"{threshold.value:g} {unit}"


def _duration(seconds: float) -> str:
    """In the largest unit of which it is a whole number, and not one."""
    for word, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds % size == 0 and seconds >= 2 * size:
            return f"{seconds / size:g} {word}"
    return f"{seconds:g} s"


def waits(arm: Arm) -> str:
    """How long its condition holds before it fires."""
    return f"{arm.for_minutes} min" if arm.for_minutes else "at once"


def _resolves(alert: Alert, arm: Arm) -> str:
    if alert.is_always_firing:
        return "never"
    seconds = max(looks_back_seconds(arm), alert.keep_firing_minutes * 60)
    return f"at most {_duration(seconds)} later" if seconds else "with its cause"


def _source(threshold: Threshold) -> str:
    if threshold.source.startswith(OURS):
        return threshold.source
    return f"the production runbook: `{threshold.source}`"


def _inhibitions(alert: Alert) -> list[Inhibition]:
    return [each for each in INHIBITIONS if each.source is not alert and each.inhibits(alert)]


def _lines_of(expression: str) -> list[str]:
    """The expression, broken before clauses, and of these before as few inner ones as make its lines short."""
    depths = {found.start(): _depth(expression, found.start()) for found in _CLAUSE.finditer(expression)}
    lines = [expression]
    for deepest in sorted(set(depths.values())):
        if max(map(len, lines)) <= _WIDTH:
            break
        ends = sorted(index for index, depth in depths.items() if depth <= deepest)
        pairs = zip([-1, *ends], [*ends, len(expression)], strict=True)
        lines = ["  " * (depths.get(begin, -1) + 1) + expression[begin + 1 : end] for begin, end in pairs]
    return lines


def _depth(expression: str, index: int) -> int:
    return expression.count("(", 0, index) - expression.count(")", 0, index)


# -- windows


def _reads(arm: Arm, window: str) -> bool:
    return f"{slos.ratio(window)}{{" in arm.expression


def _seconds(number: str, unit: str) -> int:
    return int(number) * _SECONDS[unit]
