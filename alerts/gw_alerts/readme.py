"""The parts of `alerts/README.md` that are the catalogue's: parity with the runbook, counts, inhibitions, alerts."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from gw_alerts import catalog, slos
from gw_alerts import thresholds as t
from gw_alerts.cases import ALL_CASES
from gw_alerts.cases.scenarios import SCENARIOS
from gw_alerts.catalog import ALERTS
from gw_alerts.model import Alert, Arm
from gw_alerts.pages import WORTH, fill, header, row, waits
from gw_alerts.routing import INHIBITIONS
from gw_alerts.thresholds import OURS, Severity, Threshold

PATH = Path(__file__).parents[1] / "README.md"
"""Only in a checkout."""
_MODULES = (
    catalog.sessions, catalog.credentials, catalog.jobs, catalog.components, catalog.proxies, catalog.watching,
    slos,
)  # fmt: skip


def render_readme(text: str) -> str:
    """The file with its generated parts as the catalogue has them."""
    return fill("alerts/README.md", text, _RENDERERS)


def outdated(path: Path = PATH) -> list[str]:
    """Its name, when a generated part is not what the catalogue says."""
    text = path.read_text(encoding="utf-8")
    return [path.name] if render_readme(text) != text else []


def write_readme(path: Path = PATH) -> None:
    """Renews the generated parts."""
    path.write_text(render_readme(path.read_text(encoding="utf-8")), encoding="utf-8")


# -- parts


def _parity(_: str) -> Iterator[str]:
    """The production runbook's table: each row, its alert, the arms, and how many cases hold each to it."""
    yield from header("Row of the runbook", "Severity", "Alert", "Arm", "For", "Proven by")
    for alert in ALERTS:
        if not alert.seed:
            continue
        (threshold,) = {each for each in alert.thresholds if each.source.startswith(f"{alert.seed} |")}
        signal, bound, severity, _notes = threshold.source.split(" | ")
        for number, arm in enumerate(alert.arms):
            is_row = threshold in arm.thresholds
            said = (f"`{signal}` `{bound}`", severity, _link(alert)) if not number else ("", "", "")
            yield row(*said, f"{arm.name or '-'}{'' if is_row else ' (ours)'}", waits(arm), _proofs(alert, arm))


def _lists(_: str) -> Iterator[str]:
    """The production runbook's two lists, and the alerts that stand for each line."""
    yield from header("Line of the runbook", "Severity", "Alerts")
    for line, alerts in WORTH.items():
        yield row(line, alerts[0].severity.value, ", ".join(map(_link, alerts)))


def _counts(_: str) -> Iterator[str]:
    """How many alerts, rules, cases."""
    by_severity = Counter(alert.severity for alert in ALERTS)
    told = {
        Severity.PAGE: f"at most {catalog.MOST_PAGES}, the dead-man's switch among them",
        Severity.TICKET: "budgets that burn among them",
        Severity.INFO: "nobody is told; it keeps others quiet",
    }
    names = {
        Severity.PAGE: "alerts that page",
        Severity.TICKET: "alerts that open a ticket",
        Severity.INFO: "alerts that inform",
    }
    yield from header("What", "How many", "")
    for severity in Severity:
        yield row(names[severity], str(by_severity[severity]), told[severity])
    yield row("alert rules", str(sum(len(alert.arms) for alert in ALERTS)), "an alert has one for each of its arms")
    yield row(
        "rules, recordings included", str(sum(catalog.GROUP_SIZES.values())), f"{len(catalog.GROUP_SIZES)} groups"
    )
    yield row("cases of a single alert", str(len(ALL_CASES)), "real promtool, `alerts/tests/`")
    yield row("scenarios of a whole cluster", str(len(SCENARIOS)), "who is told what, and who is not")


def _inhibitions(_: str) -> Iterator[str]:
    """What keeps what quiet."""
    yield from header("While this fires", "these tell nobody", "for the same", "since")
    for each in INHIBITIONS:
        targets = [alert for alert in ALERTS if alert is not each.source and each.inhibits(alert)]
        yield row(_link(each.source), ", ".join(map(_link, targets)), ", ".join(each.equal), each.why)


def _alerts(_: str) -> Iterator[str]:
    """Every alert."""
    yield from header("Alert", "Severity", "About", "Arms", "For", "`gw health --check`", "Cases")
    for alert in sorted(ALERTS, key=lambda each: each.severity.rank):
        arms = ", ".join(arm.name for arm in alert.arms if arm.name) or "-"
        held = ", ".join(dict.fromkeys(map(waits, alert.arms)))
        about = f"{alert.part.value}, {alert.signal.value}"
        cases = sum(case.alert is alert for case in ALL_CASES)
        yield row(_link(alert), alert.severity.value, about, arms, held, ", ".join(alert.checks) or "-", str(cases))


def _numbers(_: str) -> Iterator[str]:
    """Every number: how bad it is in health and on boards, and what it is as an alert."""
    severities: dict[Threshold, set[str]] = {}
    for alert in ALERTS:
        for threshold in alert.thresholds:
            severities.setdefault(threshold, set()).add(alert.severity.value)
    own = (value for module in _MODULES for value in vars(module).values() if isinstance(value, Threshold))
    yield from header("Number", "Is a problem at", "How bad", "As an alert", "From")
    for each in dict.fromkeys(chain(t.ALL, own, severities)):
        is_alerts_alone = each in severities and each not in t.ALL
        how_bad = "-" if is_alerts_alone else each.severity.value
        as_alert = ", ".join(sorted(severities.get(each, ()))) or "-"
        source = "ours" if each.source.startswith(OURS) else "the runbook"
        yield row(each.subject, f"{each.comparison} {each.value:g} {each.unit}", how_bad, as_alert, source)


_RENDERERS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "parity": _parity,
    "lists": _lists,
    "counts": _counts,
    "inhibitions": _inhibitions,
    "all-alerts": _alerts,
    "numbers": _numbers,
}


def _proofs(alert: Alert, arm: Arm) -> str:
    cases = [case for case in ALL_CASES if case.alert is alert and case.arm is arm]
    kinds = {proof.name.lower().replace("_", " ") for case in cases for proof in case.proofs}
    return f"{len(cases)} cases: {', '.join(sorted(kinds))}"


def _link(alert: Alert) -> str:
    return f"[{alert.name}](../{alert.page}#{alert.anchor})"
