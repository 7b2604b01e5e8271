"""`make soak`: plays thousands of seeds; or one, with its trace."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.profiles import PROFILES, profile_of
from simulation.world import Report, simulate

_MOST_SHOWN = 8
_KILLING = ["kills", "everything"]


def main() -> int:
    """0 when every invariant held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--from", dest="first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--profile", action="append", choices=list(PROFILES), help="default: all in turn")
    parser.add_argument("--kills", action="store_true", help="only profiles in which agents are killed")
    parser.add_argument("--until-kills", type=int, help="goes on until so many kills")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--short", action="store_true", help="as the tests play them")
    options = parser.parse_args()
    names = options.profile or (_KILLING if options.kills else None)
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    began, reports = time.perf_counter(), []
    for seed in seeds:
        report = simulate(seed, profile_of(seed, names), keep_trace=options.trace, is_short=options.short)
        reports.append(report)
        if options.trace:
            print(*report.trace, sep="\n")
        _print(report)
        if options.until_kills and sum(one.kills for one in reports) >= options.until_kills:
            break
    _summarise(reports, time.perf_counter() - began)
    return 1 if any(report.violations for report in reports) else 0


def _print(report: Report) -> None:
    print(
        f"seed {report.seed:6} {report.profile:14} {report.virtual_seconds / 3600:5.2f} h  {report.jobs:4} jobs"
        f" {report.reruns:3} reruns {report.kills:3} kills  {len(report.violations)} violations  {report.digest}",
        flush=True,
    )
    for violation in report.violations[:_MOST_SHOWN]:
        print(f"    {violation}")
    if report.violations:
        print(f"    {report.replay}", flush=True)


def _summarise(reports: list[Report], seconds: float) -> None:
    broken = Counter(violation.invariant for report in reports for violation in report.violations)
    gaps: Counter[str] = Counter()
    for report in reports:
        gaps.update(report.gap_kills)
    hours = sum(report.virtual_seconds for report in reports) / 3600
    jobs, reruns, kills = (sum(getattr(report, name) for report in reports) for name in ("jobs", "reruns", "kills"))
    doubled = broken["job run twice"] + broken["finished job rerun"]
    print(f"\n{len(reports)} seeds, {hours:.1f} virtual hours in {seconds:.0f} s")
    print(f"{jobs} jobs, {reruns} reruns, {kills} kills")
    print(f"jobs doubled {doubled}, silently lost {broken['job lost silently']}")
    print(f"killed between a claim's answer and its payload's write: {sum(gaps.values())} {dict(gaps)}")
    print(f"violations {sum(broken.values())}: {dict(broken)}")


if __name__ == "__main__":
    sys.exit(main())
