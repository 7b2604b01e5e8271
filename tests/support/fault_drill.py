"""Brings each fault of the sandbox's library into a running sandbox and out again, and holds `gw health` to it.

For a test and for the table that `make bench` prints: the check that names the fault, with which severity, how long it
took, what was said beside it, and how long until all was clean again. Two tenants: the fault's own, and one that has
nothing to do with it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from actions_gateway.api.names import TENANT_ROLE
from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.faults import Fault, Scope
from gateway_sandbox.kubeconfigs import write_kubeconfig
from support.commands import Answer
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox

T = TypeVar("T")
TENANT, BYSTANDER = "team-a", "team-b"
GROUPS = {
    TENANT: "cpu labels=self-hosted,linux maxWorkers=4 maxListeners=2",
    # Both register runners at one repository: with the same labels one tenant's jobs would be the other's, too.
    BYSTANDER: "cpu labels=self-hosted,other maxWorkers=4 maxListeners=2",
}
_COMMAND_SECONDS = 300.0
ALERTS = "alerts.firing"
"""Not held to a fault's time: the rules look back for up to an hour, at the faults before it, too."""
_LOOKS_AFTERWARDS = 3
_FOUND_WITHIN_SECONDS = 240.0
"""The slowest: two polls that stay unanswered, a run that uses up its reruns."""
_CLEAN_WITHIN_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Said:
    """One problem of a report."""

    check: str
    severity: str
    subject: str
    summary: str

    def __str__(self) -> str:
        return f"{self.check} {self.severity} {self.subject}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Report:
    """What of `gw health -o json` counts here."""

    problems: frozenset[Said]
    unknown: frozenset[str]
    """Ids of the checks that could not tell."""

    def has(self, check: str, severity: str) -> bool:
        return any((said.check, said.severity) == (check, severity) for said in self.problems)

    @property
    def checks(self) -> frozenset[str]:
        return frozenset(said.check for said in self.problems)


@dataclass(frozen=True, slots=True)
class View:
    """What somebody who sees less is told of a fault."""

    named: frozenset[tuple[str, str]]
    """The checks that name it, each with its severity."""
    false: tuple[Said, ...]

    def __str__(self) -> str:
        return ", ".join(f"{check} {severity}" for check, severity in sorted(self.named)) or "nothing"


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one fault."""

    fault: str
    expected: tuple[tuple[str, str], ...]
    found_seconds: float | None
    """Until health named it; None when it never did."""
    false: tuple[Said, ...]
    """Problems beside it that are none of its consequences, or another tenant's."""
    consequences: tuple[str, ...]
    named: frozenset[tuple[str, str]]
    """The checks that name it and how badly, in every look from before the views to after them: some grow worse."""
    without_prometheus: View
    """Without Prometheus and Alertmanager."""
    to_tenant: View | None
    """With a tenant's own rights; None where the cluster has none."""
    clean_seconds: float | None
    left: tuple[Said, ...] = ()
    """Problems that stayed after it was taken back."""

    def __str__(self) -> str:
        named = ", ".join(f"{check} {severity}" for check, severity in self.expected)
        found = "never" if self.found_seconds is None else f"{self.found_seconds:.0f} s"
        clean = "never" if self.clean_seconds is None else f"{self.clean_seconds:.0f} s"
        return " | ".join(
            (
                self.fault,
                named,
                found,
                "; ".join(map(str, self.false)) or "none",
                ", ".join(self.consequences) or "none",
                str(self.without_prometheus),
                str(self.to_tenant or "-"),
                clean,
            )
        )


FAULT_ROW = "fault row"
"""The property of a test's report that holds its row."""
HEADER = "fault | named by | found | false | true consequences | without Prometheus | to the tenant | clean again"


@dataclass(slots=True)
class Drill:
    """One sandbox with two tenants."""

    sandbox: Sandbox
    tenant_kubeconfig: Path | None
    looks_at: tuple[str, ...] = ("-A",)

    @property
    def _with_the_key(self) -> tuple[str, ...]:
        """What only GitHub knows is asked of it, with the App's key; for one tenant at a time."""
        info = self.sandbox.info
        return (TENANT, "--private-key-file", info["app_key_path"], "--ca-bundle-file", info["ca_path"])

    def gw(self, *arguments: str, **options: Any) -> Answer:
        return self.sandbox.gw(*arguments, timeout_seconds=_COMMAND_SECONDS, **options)

    def health(self, *arguments: str, **options: Any) -> Report:
        """One look; by default at everything, with Prometheus and Alertmanager."""
        arguments = arguments or self.looks_at
        answer = self.sandbox.look("health", *arguments, "-o", "json", timeout_seconds=_COMMAND_SECONDS, **options)
        assert answer.code in (0, 1, 3), answer
        assert answer.out, answer
        document = json.loads(answer.out)
        problems = {
            Said(check["id"], finding["severity"], finding["subject"], finding["summary"])
            for check in document["checks"]
            for finding in check["findings"]
            if finding["outcome"] == "problem" and check["id"] != ALERTS
        }
        unknown = {check["id"] for check in document["checks"] if check["outcome"] == "unknown"}
        return Report(frozenset(problems), frozenset(unknown))

    def until(self, holds: Callable[[Report], bool], *, within_seconds: float) -> tuple[float | None, Report]:
        """Seconds until a report is so, or None, and the last report."""
        started = time.monotonic()
        while True:
            report = self.health()
            if holds(report):
                return time.monotonic() - started, report
            if (waited := time.monotonic() - started) > within_seconds:
                return None, report
            # What takes minutes is not asked for every second: each look is a process of its own.
            time.sleep(min(4.0, max(0.5, waited / 8)))

    def settle(self) -> Report:
        """The report of a sandbox that is well; fails when it does not become so."""
        seconds, report = self.until(lambda each: not each.problems and not each.unknown, within_seconds=120.0)
        assert seconds is not None, [*map(str, report.problems), *sorted(report.unknown)]
        return report

    def play(self, fault: Fault, before: Report) -> Row:
        """One fault in and out; whatever happens, it is taken back."""
        where = ("-n", TENANT) if fault.scope is Scope.TENANT else ()
        self.looks_at = self._with_the_key if any(check == "job.unserved" for check, _ in fault.expects) else ("-A",)
        started = time.monotonic()
        try:
            brought_in = self.gw("sandbox", "fault", fault.name, *where)
            assert brought_in.code == 0, brought_in
            waited, _ = self.until(
                lambda report: all(report.has(*expected) for expected in fault.expects),
                within_seconds=_FOUND_WITHIN_SECONDS,
            )
            found = None if waited is None else time.monotonic() - started
            said = frozenset[Said]().union(*(self.health().problems for _ in range(_LOOKS_AFTERWARDS)))
            blind = self._view(self.health(is_watched=False).problems, fault)
            tenant = self._as_tenant(fault)
            said |= self.health().problems
        finally:
            taken_back = self.gw("sandbox", "fault", fault.name, *where, "--undo")
        assert taken_back.code == 0, taken_back
        started = time.monotonic()
        if "job.lost" in self.health(TENANT).checks:
            # What was lost for good waits for a person, as the check's page says.
            rerun = self.gw("job", "rerun", "-n", TENANT, "--lost", "--yes", "--timeout", "120s")
            assert rerun.code in (0, 5), rerun
        clean, after = self.until(
            lambda report: not report.problems and report.unknown <= before.unknown,
            within_seconds=_CLEAN_WITHIN_SECONDS,
        )
        expected = {check for check, _ in fault.expects}
        full = self._view(said, fault)
        return Row(
            fault=fault.name,
            expected=fault.expects,
            found_seconds=found,
            false=full.false,
            consequences=tuple(sorted({each.check for each in said} - expected)),
            named=full.named,
            without_prometheus=blind,
            to_tenant=tenant,
            clean_seconds=clean if clean is None else time.monotonic() - started,
            left=tuple(sorted(after.problems, key=str)) if clean is None else (),
        )

    @staticmethod
    def _is_false(said: Said, fault: Fault) -> bool:
        expected = {check for check, _ in fault.expects}
        is_others = fault.scope is Scope.TENANT and said.subject.partition("/")[0] == BYSTANDER
        return is_others or said.check not in expected | fault.follows

    def _view(self, problems: frozenset[Said], fault: Fault) -> View:
        expected = {check for check, _ in fault.expects}
        named = frozenset((each.check, each.severity) for each in problems if each.check in expected)
        return View(named, tuple(sorted((each for each in problems if self._is_false(each, fault)), key=str)))

    def _as_tenant(self, fault: Fault) -> View | None:
        if self.tenant_kubeconfig is None or fault.scope is not Scope.TENANT:
            return None
        arguments = (TENANT,) if self.looks_at == ("-A",) else self.looks_at
        report = self.health(*arguments, is_watched=False, KUBECONFIG=str(self.tenant_kubeconfig))
        return self._view(report.problems, fault)


def best_cluster() -> str:
    try:
        require_programs(*CONTROL_PLANE)
    except ProgramsMissing:
        return "embedded"
    return "real"


@contextmanager
def drill(folder: Path, *, cluster: str) -> Iterator[Drill]:
    """A sandbox with both tenants; with `real`, the first one's own rights as well."""
    try:
        sandbox = start_sandbox(folder, "--cluster", cluster, "--timeout", "180s")
        drilled = Drill(sandbox, None)
        for name in (TENANT, BYSTANDER):
            added = drilled.gw("tenant", "add", name, "--yes", *sandbox.tenant_arguments(GROUPS[name]))
            assert added.code == 0, added
        if cluster == "real":
            drilled.tenant_kubeconfig = _tenant_kubeconfig(sandbox)
        yield drilled
    finally:
        stop_sandbox(folder)


def _tenant_kubeconfig(sandbox: Sandbox) -> Path:
    """A kubeconfig of a service account that has the tenant's role in the tenant's namespace, and nothing else."""
    account = f"--serviceaccount={TENANT}:developer"
    for arguments in (
        ("create", "serviceaccount", "developer", "-n", TENANT),
        ("create", "rolebinding", "developers", "-n", TENANT, f"--clusterrole={TENANT_ROLE}", account),
    ):
        made = sandbox.kubectl(*arguments)
        assert made.code == 0, made
    token = sandbox.kubectl("create", "token", "developer", "-n", TENANT, "--duration=4h")
    assert token.code == 0, token.err
    return write_kubeconfig(
        sandbox.folder.parent / "tenant.kubeconfig",
        url=sandbox.info["api_url"],
        ca_path=Path(sandbox.info["ca_path"]),
        user={"token": token.out.strip()},
    )
