"""What every test shares."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from support.alert_times import ALERT_HEADER, ALERT_ROW
from support.apiserver import SERVERS
from support.fault_drill import FAULT_ROW, HEADER

# A shared machine may stall any single example; how long code takes is the benchmark's business.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


_OWN_PLANES = ("installation", "faults", "commands", "policies", "rights", "nodes", "scale")
_FIRST = ("e2e", "simulation", *(f"component/{folder}" for folder in _OWN_PLANES), "component")
"""What takes longest: begun last, one file would keep one process busy and the others idle.

Folders with control planes of their own come before those that share one, which ends with the last of them.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> tuple[int, bool]:
        folders = item.path.relative_to(Path(__file__).parent).parent.parts
        ranks = (_FIRST.index(path) for count in (2, 1) if (path := "/".join(folders[:count])) in _FIRST)
        # The end-to-end tests' shared sandbox ends with its last test: none of theirs comes after it.
        return next(ranks, len(_FIRST)), "sandbox" in getattr(item, "fixturenames", ())

    items.sort(key=rank)


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests in one process; end-to-end ones on a shared sandbox together, whatever their files."""

    def _split_scope(self, nodeid: str) -> str:
        cluster = nodeid.rpartition("[")[2].rstrip("]").partition("-")[0]
        return cluster if nodeid.startswith("tests/e2e/") and cluster in SERVERS else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return _ByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases ran on which API server, what was said of each fault and how soon, and what a machine lacks."""
    passed = [report for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    counts = {name: sum(f"on_{name}" in report.keywords for report in passed) for name in SERVERS}
    if any(counts.values()):
        shown = ", ".join(f"{count} cases on {name}" for name, count in counts.items())
        terminalreporter.write_line(f"API servers: {shown}")
    told = [*passed, *terminalreporter.stats.get("failed", [])]
    for kind, header in {FAULT_ROW: HEADER, ALERT_ROW: ALERT_HEADER}.items():
        rows = [row for report in told for name, row in report.user_properties if name == kind]
        for line in (header, *rows) if rows else ():
            terminalreporter.write_line(line)
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"SKIPPED {count}: {reason}")


def _reason(report: pytest.TestReport) -> str:
    where_and_why = report.longrepr
    return str(where_and_why[2] if isinstance(where_and_why, tuple) else where_and_why).removeprefix("Skipped: ")
