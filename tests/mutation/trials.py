"""Whether promtool notices: the committed test files, cut to what a changed rule is tested by.

A test file is evaluated as a whole, and a change touches one rule. So of each test those looks are kept that speak of
the rule, with the series and rules that these need; where the cut test no longer passes with the rules as they are, the
whole one is taken. Whatever these do not notice is tried with what reads the rule, and with the scenarios at last.
promtool takes many files at a time, since its start costs more than most of them.
"""

import copy
import itertools
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from support.rule_files import needed_rules, rules_in, title_of

Document = dict[str, Any]
Test = dict[str, Any]

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts" / "generated" / "actions-gateway.rules.yaml"
TESTS = ROOT / "alerts" / "tests"
_SCENARIOS = ("scenarios.yaml",)
"""Tests in which everything belongs to everything: they cannot be cut."""
_AT_ONCE = 40
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ALERTNAME = re.compile(r'alertname="(\w+)"')
_CLUSTER = re.compile(r'cluster="([^"]*)"')
_LOOKED_AT = re.compile(r'cluster=~"(\w+)/\.\+"')
_PREFIX = "ActionsGateway"


def read_yaml(text: str) -> Any:
    """The document."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule file that was changed in one rule."""

    document: Document
    title: str
    """The rule's alert or record."""
    slo: str = ""
    """The one objective that it is about, if it is."""


class Bench:
    """The rules as they are, and the tests that were written for them."""

    def __init__(self, promtool: str, folder: Path, workers: int) -> None:
        self._promtool = promtool
        self._folder = folder
        self._workers = workers
        self.document: Document = read_yaml(RULES.read_text())
        self._files = {path.name: read_yaml(path.read_text()) for path in sorted(TESTS.glob("*.yaml"))}
        self._cut: dict[frozenset[str], list[Document]] = {}

    @cached_property
    def _read(self) -> Mapping[str, frozenset[str]]:
        """By rule: the recordings that it reads."""
        recorded = {rule["record"] for rule in rules_in(self.document) if "record" in rule}
        read: dict[str, frozenset[str]] = {}
        for rule in rules_in(self.document):
            name = title_of(rule)
            read[name] = read.get(name, frozenset()) | (set(_NAME.findall(rule["expr"])) & recorded)
        return read

    def notices(self, trials: Sequence["Trial"], *, thoroughly: bool = True) -> list[bool]:
        """For each trial whether a test fails; those of the rule alone, or thoroughly."""
        noticed: set[int] = set()
        for find in (self._own, self._of_readers, self._scenarios) if thoroughly else (self._own,):
            left = [number for number in range(len(trials)) if number not in noticed]
            jobs = [(number, trials[number].document, test) for number in left for test in find(trials[number])]
            failed = self._run((document, test) for _, document, test in jobs)
            noticed |= {number for (number, _, _), is_failed in zip(jobs, failed, strict=True) if is_failed}
        return [number in noticed for number in range(len(trials))]

    # -- what a rule is tested by --------------------------------------------------------------------------------

    def _own(self, trial: "Trial") -> list[Document]:
        return self._tests(frozenset({trial.title}))

    def _of_readers(self, trial: "Trial") -> list[Document]:
        """Those of all that read the rule; of an objective's recordings of its own alerts."""
        found = {trial.title}
        while more := {name for name, read in self._read.items() if read & found} - found:
            found |= more
        mine = frozenset(name for name in found if not trial.slo or self._slo.get(name, trial.slo) == trial.slo)
        return self._tests(mine - {trial.title}) if len(mine) > 1 else []

    def _scenarios(self, _: "Trial") -> list[Document]:
        return [self._files[name] for name in _SCENARIOS]

    def _tests(self, names: frozenset[str]) -> list[Document]:
        """The test files cut to these rules; with the rules as they are they pass."""
        if names not in self._cut:
            files = [file for name, file in self._files.items() if name not in _SCENARIOS]
            cut = [(file, found) for file in files if (found := _cut_file(file, names))]
            fails = self._run((self.document, found) for _, found in cut)
            self._cut[names] = [
                file if is_failed else found for (file, found), is_failed in zip(cut, fails, strict=True)
            ]
        return self._cut[names]

    @cached_property
    def _slo(self) -> Mapping[str, str]:
        """Of alerts on a budget: their objective."""
        rules = [rule for rule in rules_in(self.document) if "alert" in rule and "slo" in rule["labels"]]
        return {title_of(rule): rule["labels"]["slo"] for rule in rules}

    # -- promtool ------------------------------------------------------------------------------------------------

    def _run(self, jobs: Iterable[tuple[Document, Document]]) -> list[bool]:
        """For each pair of rules and test: whether it fails."""
        with ThreadPoolExecutor(self._workers) as pool:
            return list(itertools.chain.from_iterable(pool.map(self._run_some, _chunks(jobs, _AT_ONCE))))

    def _run_some(self, jobs: Sequence[tuple[Document, Document]]) -> list[bool]:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            paths = [self._write(Path(folder), number, *job) for number, job in enumerate(jobs)]
            result = subprocess.run(
                [self._promtool, "test", "rules", *map(str, paths)], capture_output=True, text=True, check=False,
                # One evaluation after the other: the other processor has a promtool of its own.
                env={**os.environ, "GOMAXPROCS": "1"},
            )  # fmt: skip
        _, *told = re.split(r"^Unit Testing:  ", result.stdout, flags=re.MULTILINE)
        succeeded = {text.split("\n", 1)[0].strip() for text in told if re.search(r"^\s*SUCCESS", text, re.MULTILINE)}
        return [str(path) not in succeeded for path in paths]

    def _write(self, folder: Path, number: int, document: Document, test: Document) -> Path:
        rules = folder / f"{number}.rules.yaml"
        rules.write_text(_dump(needed_rules(document, test)))
        path = folder / f"{number}.test.yaml"
        path.write_text(_dump({**test, "rule_files": [str(rules)]}))
        return path


def _cut_file(file: Document, names: frozenset[str]) -> Document | None:
    tests = [cut for test in file["tests"] if (cut := _cut_test(test, names))]
    return {**file, "tests": tests} if tests else None


def _cut_test(test: Test, names: frozenset[str]) -> Test | None:
    """The looks at these alerts and recordings, with the series of the clusters that they are about."""
    about = {name.removeprefix(_PREFIX) for name in names}
    queries = [look for look in test.get("promql_expr_test") or [] if _concerns(look, names, about)]
    alerts = [look for look in test.get("alert_rule_test") or [] if look["alertname"] in names]
    if not queries and not alerts:
        return None
    clusters = {cluster for look in queries for cluster in _LOOKED_AT.findall(look["expr"])}
    is_told = bool(alerts) or not clusters
    series = test.get("input_series") or []
    if not is_told:
        series = [each for each in series if _cluster_of(each["series"]) in clusters]
    return {**test, "input_series": series, "promql_expr_test": queries, "alert_rule_test": alerts}


def _concerns(look: dict[str, Any], names: frozenset[str], about: set[str]) -> bool:
    found = _LOOKED_AT.findall(look["expr"])
    if found:
        return bool(set(found) & about)
    text = look["expr"] + repr(look.get("exp_samples"))
    return any(name in names for name in _NAME.findall(text))


def _cluster_of(series: str) -> str:
    found = _CLUSTER.search(series)
    return found[1].partition("/")[0] if found else ""


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _dump(document: Document) -> str:
    return str(yaml.dump(copy.copy(document), Dumper=yaml.CSafeDumper, width=2**30, sort_keys=False))
