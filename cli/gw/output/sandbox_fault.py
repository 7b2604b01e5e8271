"""Faults of the sandbox as text and as documents."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gw.output.layout import Cell, columns, styled
from gw.output.view import View
from gw.sources.sandbox import FaultFact, FaultOutcome


def faults_view(states: Sequence[FaultFact]) -> View:
    """All faults with their titles, and where each is in force."""
    rows: list[list[Cell]] = [[state.name, state.scope, state.title, _where(state)] for state in states]
    return View(
        kind="Faults",
        data={"faults": [_data(state) | {"in_force": [name or "" for name in state.in_force]} for state in states]},
        lines=lambda: columns(rows, header=("NAME", "HITS", "WHAT", "IN FORCE")),
        short=[state.name for state in states],
    )


def fault_view(outcome: FaultOutcome) -> View:
    """What became of the wish."""
    fault = outcome.fault
    return View(
        kind="Fault",
        data=_data(fault)
        | {
            "namespace": outcome.namespace,
            "undone": outcome.undone,
            "changed": outcome.changed,
            "settled": outcome.settled,
            "seconds": round(outcome.seconds, 1),
        },
        lines=lambda: [Text(_sentence(outcome)), *([] if outcome.undone else [Text(fault.summary)])],
        short=[f"{fault.name} {'out' if outcome.undone else 'in'} {'settled' if outcome.settled else 'waiting'}"],
    )


def next_steps(outcome: FaultOutcome, where: str) -> list[Text]:
    """How it is seen and ended; `where` is the option that finds the sandbox."""
    if outcome.undone:
        return [Text("See that all is well with: gw health")]
    tenant = f" -n {outcome.namespace}" if outcome.namespace else ""
    return [
        Text("See it with: gw health"),
        Text(f"Take it back with: gw sandbox fault{where} {outcome.fault.name} --undo{tenant}"),
    ]


def _sentence(outcome: FaultOutcome) -> str:
    name, result = outcome.fault.name, outcome
    whose = f" in {outcome.namespace}" if outcome.namespace else ""
    if outcome.undone and not result.changed:
        return f"{name} is not in force{whose}; nothing was changed."
    if outcome.undone:
        end = "nothing shows it any more" if result.settled else "not all of it is gone yet"
        return f"{name} is taken back{whose}; {end} ({result.seconds:.0f} s)."
    begin = f"{name} is in force{whose}" if result.changed else f"{name} is in force{whose} already"
    return f"{begin}; it {'shows' if result.settled else 'does not show yet'} ({result.seconds:.0f} s)."


def _where(state: FaultFact) -> Cell:
    names = [name or "here" for name in state.in_force]
    return styled(", ".join(names), "warn") if names else "-"


def _data(fault: FaultFact) -> dict[str, Any]:
    return {
        "name": fault.name,
        "title": fault.title,
        "summary": fault.summary,
        "scope": fault.scope,
        "expects": [{"check": check, "severity": severity} for check, severity in fault.expects],
        "follows": list(fault.follows),
        "alert": fault.alert or None,
    }
