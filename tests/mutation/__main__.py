"""`make mutate`: changes each number, comparison, severity and duration of the alerting, and prints who notices."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutation.changes import Change, changes_of
from mutation.equivalents import is_nothing, shows_as_drift
from mutation.seed import seed_changes, seed_failures
from mutation.sources import outcomes, source_changes
from mutation.trials import Bench, Trial
from support.rule_files import title_of

_AT_A_TIME = 60
_DRIFT = "drift of what is committed"


def main() -> int:
    """0 when somebody notices each change that is one."""
    parser = argparse.ArgumentParser(prog="python tests/mutation", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(_PARTS), help="default: all")
    parser.add_argument("--only", default="", help="rules whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="every so many changes, to see whether it works")
    parser.add_argument("--quick", action="store_true", help="rules of alerts alone, with their own cases")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--promtool", default="promtool")
    options = parser.parse_args()
    left = []
    for part in options.part or _PARTS:
        began, rows = time.perf_counter(), list(_PARTS[part](options))
        survivors = [(name, what) for name, what, by in rows if not by]
        unexpected = [each for each in survivors if not is_nothing(*each)]
        left += unexpected
        seconds = time.perf_counter() - began
        print(
            f"{part:8} {len(rows):5} changes, {len(rows) - len(survivors):5} noticed, "
            f"{len(survivors) - len(unexpected):3} change nothing, {len(unexpected):3} unnoticed, {seconds:6.0f} s"
        )
        for by in sorted({by for *_, by in rows if by}):
            print(f"         {sum(each == by for *_, each in rows):5} by {by}")
    for name, what in left:
        print(f"unnoticed: {name} | {what}")
    return 1 if left else 0


Row = tuple[str, str, str]
"""A change's place, its words, and who notices it; empty for nobody."""


def _rules(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.promtool, Path(folder), options.workers)
        found = [change for change in changes_of(bench.document) if options.only in change.name]
        changes = [change for change in found if not options.quick or "alert" in change.changed][:: options.every]
        for start in range(0, len(changes), _AT_A_TIME):
            some = changes[start : start + _AT_A_TIME]
            noticed = bench.notices([trial_of(bench, change) for change in some], thoroughly=not options.quick)
            for change, is_noticed in zip(some, noticed, strict=True):
                by = "promtool's cases" if is_noticed else _DRIFT if shows_as_drift(change.name, change.what) else ""
                yield change.name, change.what, by
            print(f"  {start + len(some)} of {len(changes)}", file=sys.stderr)


def trial_of(bench: Bench, change: Change) -> Trial:
    """The changed rule file."""
    slo = (change.changed.get("labels") or {}).get("slo", "")
    return Trial(change.applied(bench.document), title_of(change.changed), slo)


def _sources(options: argparse.Namespace) -> Iterator[Row]:
    changes = [each for each in source_changes() if options.only in each.module][:: options.every]
    for outcome in outcomes(changes, options.workers):
        by = (
            "its own loading" if outcome.problem
            else "tests of the runbook's words and of thresholds" if outcome.failed
            else _DRIFT if outcome.drifted
            else ""
        )  # fmt: skip
        yield f"{outcome.change.module}:{outcome.change.line}", outcome.change.what, by


def _seed(options: argparse.Namespace) -> Iterator[Row]:
    changes: Sequence = [each for each in seed_changes() if options.only in each.what][:: options.every]  # type: ignore[type-arg]
    for change, failed in zip(changes, seed_failures(changes, options.workers), strict=True):
        yield "the transcription", change.what, "tests of the runbook's words and of thresholds" if failed else ""


_PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {"rules": _rules, "sources": _sources, "seed": _seed}

if __name__ == "__main__":
    sys.exit(main())
