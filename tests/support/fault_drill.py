"""Brings each fault of the sandbox's library into a running sandbox and out again, and holds `gw health` to it.

For a test and for the table that `make bench` prints: the check that names the fault, with which severity, how long it
took, what was said beside it, and how long until all was clean again. Two tenants: the fault's own, and one that has
nothing to do with it.
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.api.names import TENANT_ROLE
from gateway_sandbox.faults import Fault, Scope
from gateway_sandbox.kubeconfigs import write_kubeconfig
from gw_alerts.scaling import Pace
from support.aio import run
from support.alert_times import Told
from support.board_queries import EVERYTHING, Answers, Asked, BoardQuestions, questions_about
from support.commands import Answer
from support.patience import HANG_SECONDS
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox, until

TENANT, BYSTANDER = "team-a", "team-b"
GROUPS = {
    TENANT: "cpu labels=self-hosted,linux maxWorkers=4 maxListeners=2",
    # Both register runners at one repository: with the same labels one tenant's jobs would be the other's, too.
    BYSTANDER: "cpu labels=self-hosted,other maxWorkers=4 maxListeners=2",
}
_COMMAND_SECONDS = 300.0
ALERTS = "alerts.firing"
"""Not held to a fault's time: the rules look back for up to an hour, at the faults before it, too."""
ALERT_SPEED = "40"
"""What the rules and routes wait is divided by it: five minutes are 7.5 s."""
OF_AGES = frozenset({"deaf-listener", "missing-image", "unschedulable"})
"""Faults whose alert waits for an age that components tell: of a poll, of a job. Minutes, at any pace."""
_PACE = Pace(float(ALERT_SPEED))
PRODUCTION = Pace()
_RESOLVED_WITHIN_SECONDS = 240.0
_LOOKS_AFTERWARDS = 2
_FOUND_WITHIN_SECONDS = 360.0
"""The slowest: two polls that stay unanswered, a run that uses up its reruns."""
_CLEAN_WITHIN_SECONDS = 360.0


@dataclass(frozen=True, slots=True)
class Said:
    """One problem of a report."""

    check: str
    severity: str
    subject: str
    summary: str
    asked_for: str = ""
    """The one tenant that the look was at: its subject may be a repository's run. Empty for a look at everything."""

    @property
    def namespace(self) -> str:
        return self.asked_for or self.subject.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.check} {self.severity} {self.subject}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Report:
    """What of `gw health -o json` counts here."""

    problems: frozenset[Said]
    unknown: frozenset[str]
    """Ids of the checks that could not tell."""

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
    told: Told | None
    """When its alert fired and was told; None where nobody was, or the fault has none that is waited for."""
    panels: tuple[str, ...] = ()
    """Those of boards that name its alert and show it while it is in force."""
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
                str(len(self.panels) or "-"),
                clean,
            )
        )


FAULT_ROW = "fault row"
"""The property of a test's report that holds its row."""
HEADER = (
    "fault | named by | found | false | true consequences | without Prometheus | to the tenant | panels | clean again"
)


@dataclass(slots=True)
class Played:
    """A fault that is in force, and what is said of it."""

    fault: Fault
    tenant: str
    others: frozenset[str]
    """Tenants that have faults of their own: what is said of them is not of this one."""
    since: float = 0.0
    began: float = 0.0
    """Unix time of the same."""
    found_seconds: float | None = None
    told: Told | None = None
    panels: tuple[str, ...] = ()

    @property
    def where(self) -> tuple[str, ...]:
        return ("-n", self.tenant) if self.fault.scope is Scope.TENANT else ()

    @property
    def expected(self) -> frozenset[str]:
        return frozenset(check for check, _ in self.fault.expects)

    def of_it(self, problems: frozenset[Said]) -> frozenset[Said]:
        return frozenset(said for said in problems if said.namespace not in self.others)

    def hear(self, report: Report) -> None:
        """Notes the time once a report names the fault with every check and severity that it is expected to have."""
        said = {(each.check, each.severity) for each in self.of_it(report.problems)}
        if self.found_seconds is None and said >= set(self.fault.expects):
            self.found_seconds = time.monotonic() - self.since

    @property
    def is_due(self) -> bool:
        """Whether its alert is waited for and nobody was told yet."""
        return self.told is None and bool(self.fault.alert) and self.fault.name not in OF_AGES

    def be_told(self, notifications: Iterable[Mapping[str, Any]]) -> None:
        """Notes when somebody was told of the fault's alert; one that fired before is an earlier fault's."""
        for each in notifications:
            for alert in each["alerts"]:
                fires_seconds = _unix(alert["starts_at"]) - self.began
                is_its = alert["name"] == self.fault.alert and alert["labels"].get("namespace") not in self.others
                if self.told is None and is_its and alert["status"] == "firing" and fires_seconds >= 0:
                    told_seconds = _unix(each["at"]) - self.began
                    self.told = Told(alert["name"], self.fault.name, each["receiver"], fires_seconds, told_seconds)

    def view(self, problems: frozenset[Said]) -> View:
        """What of the problems names it, and what is said falsely beside it."""
        mine = self.of_it(problems)
        named = frozenset((each.check, each.severity) for each in mine if each.check in self.expected)
        return View(named, tuple(sorted(filter(self._is_false, mine), key=str)))

    def _is_false(self, said: Said) -> bool:
        is_bystanders = self.fault.scope is Scope.TENANT and said.namespace == BYSTANDER
        return is_bystanders or said.check not in self.expected | self.fault.follows


@dataclass(slots=True)
class Drill:
    """One sandbox with two tenants, and further ones for faults that are played together."""

    sandbox: Sandbox
    kubeconfigs: dict[str, Path]
    """A tenant's own rights, by tenant; none where the cluster has none."""
    _asked_of_github: tuple[str, ...] = ()
    """Tenants of which GitHub is asked, with the App's key."""

    def gw(self, *arguments: str, **options: Any) -> Answer:
        return self.sandbox.gw(*arguments, timeout_seconds=_COMMAND_SECONDS, **options)

    def add(self, tenant: str, group: str) -> None:
        """One more tenant, with its own rights where the cluster knows them."""
        added = self.gw("tenant", "add", tenant, "--yes", *self.sandbox.tenant_arguments(group))
        assert added.code == 0, added
        if self.sandbox.info["cluster"] == "real":
            self.kubeconfigs[tenant] = _tenant_kubeconfig(self.sandbox, tenant)

    def look(self, *arguments: str, **options: Any) -> Report:
        """One look of `gw health`, at one tenant or at everything (`-A`)."""
        tenant = "" if arguments[0] == "-A" else arguments[0]
        answer = self.sandbox.look("health", *arguments, "-o", "json", timeout_seconds=_COMMAND_SECONDS, **options)
        assert answer.code in (0, 1, 3), answer
        assert answer.out, answer
        document = json.loads(answer.out)
        problems = {
            Said(check["id"], finding["severity"], finding["subject"], finding["summary"], tenant)
            for check in document["checks"]
            for finding in check["findings"]
            if finding["outcome"] == "problem" and check["id"] != ALERTS
        }
        unknown = {check["id"] for check in document["checks"] if check["outcome"] == "unknown"}
        return Report(frozenset(problems), frozenset(unknown))

    def health(self, **options: Any) -> Report:
        """A look at everything, and with the App's key at what only GitHub knows."""
        reports = [self.look("-A", **options)]
        reports += [self.look(*self._with_key(tenant), **options) for tenant in self._asked_of_github]
        problems = frozenset[Said]().union(*(report.problems for report in reports))
        return Report(problems, frozenset[str]().union(*(report.unknown for report in reports)))

    def _with_key(self, tenant: str) -> tuple[str, ...]:
        """For one tenant at a time."""
        info = self.sandbox.info
        return (tenant, "--private-key-file", info["app_key_path"], "--ca-bundle-file", info["ca_path"])

    def reports(self, *, within_seconds: float) -> Iterator[tuple[float, Report]]:
        """One report after another, each with the seconds since the first was asked for, until the time is over."""
        started = time.monotonic()
        waited = 0.0
        while waited <= within_seconds:
            yield waited, self.health()
            # What takes minutes is not asked for every second: each look takes a second of this machine.
            time.sleep(min(4.0, max(0.5, waited / 8)))
            waited = time.monotonic() - started

    def settle(self) -> Report:
        """The report of a sandbox that is well; fails when it does not become so."""
        report = Report(frozenset(), frozenset())
        for _, report in self.reports(within_seconds=HANG_SECONDS):
            if not report.problems and not report.unknown:
                return report
        raise AssertionError([*map(str, report.problems), *sorted(report.unknown)])

    def play(self, fault: Fault, before: Report) -> Row:
        """One fault in and out; whatever happens, it is taken back."""
        (row,) = self.play_together({TENANT: fault}, before)
        return row

    def play_together(self, faults: Mapping[str, Fault], before: Report) -> list[Row]:
        """Faults of different tenants, by tenant, in at once and out at once; whatever happens, all are taken back."""
        played = [Played(fault, tenant, frozenset(faults) - {tenant}) for tenant, fault in faults.items()]
        self._asked_of_github = tuple(each.tenant for each in played if "job.unserved" in each.expected)
        self.forget_alerts(played)
        try:
            for each in played:
                each.since, each.began = time.monotonic(), time.time()
                brought_in = self.gw("sandbox", "fault", each.fault.name, *each.where)
                # How long it may take to show is this drill's to say.
                assert brought_in.code in (0, 5), brought_in
            for _, report in self.reports(within_seconds=_FOUND_WITHIN_SECONDS):
                for each in played:
                    each.hear(report)
                if all(each.found_seconds is not None for each in played):
                    break
            said = frozenset[Said]().union(*(self.health().problems for _ in range(_LOOKS_AFTERWARDS)))
            blind = self.health(is_watched=False).problems
            tenants = {each.tenant: self._as_tenant(each) for each in played}
            said |= self.health().problems
            self.hear_alerts(played)
            self.look_at_boards(played)
        finally:
            taken_back = [
                self.gw("sandbox", "fault", each.fault.name, *each.where, "--undo", "--timeout", f"{HANG_SECONDS:g}s")
                for each in played
            ]
        for answer in taken_back:
            assert answer.code == 0, answer
        started = time.monotonic()
        for each in played:
            if "job.lost" in self.look(each.tenant).checks:
                # What was lost for good waits for a person, as the check's page says.
                rerun = self.gw("job", "rerun", "-n", each.tenant, "--lost", "--yes", "--timeout", "120s")
                assert rerun.code in (0, 5), rerun
        clean_seconds, left = self._until_clean(before, started)
        return [
            Row(
                fault=each.fault.name,
                expected=each.fault.expects,
                found_seconds=each.found_seconds,
                false=each.view(said).false,
                consequences=tuple(sorted({one.check for one in each.of_it(said)} - each.expected)),
                named=each.view(said).named,
                without_prometheus=each.view(blind),
                to_tenant=tenants[each.tenant],
                clean_seconds=clean_seconds,
                told=each.told,
                panels=each.panels,
                left=left,
            )
            for each in played
        ]

    def active_alerts(self) -> set[tuple[str, str]]:
        """Name and namespace of the alerts, but the inhibitors, that wait or fire by Prometheus."""
        found = self.sandbox.ask_prometheus("query", query='ALERTS{severity!="info"}')
        metrics = [each["metric"] for each in found["result"]]
        return {(metric["alertname"], metric.get("namespace", "")) for metric in metrics}

    def believed_alerts(self) -> set[tuple[str, str]]:
        """Name and namespace of the alerts that somebody was told of, and not yet that they are over."""
        told = [one for each in self.sandbox.notifications() for one in each["alerts"]]
        state = {(one["name"], *sorted(one["labels"].items())): one for one in told}
        firing = [one for one in state.values() if one["status"] == "firing"]
        return {(one["name"], one["labels"].get("namespace", "")) for one in firing}

    def forget_alerts(self, played: Iterable[Played]) -> None:
        """Waits until the alerts of an earlier fault are over: nobody is told anew of one that goes on."""
        due = [each for each in played if each.is_due]

        def are_over() -> bool:
            known = self.active_alerts() | self.believed_alerts()
            return not any(
                name == each.fault.alert and where not in each.others for each in due for name, where in known
            )

        if due:
            until(are_over, within_seconds=_RESOLVED_WITHIN_SECONDS)

    def hear_alerts(self, played: Iterable[Played]) -> None:
        """Waits until somebody was told of every fault that has an alert, or for as long as that may take."""
        deadline = time.monotonic() + HANG_SECONDS
        while any(each.is_due for each in played) and time.monotonic() < deadline:
            for each in played:
                each.be_told(self.sandbox.notifications())
            time.sleep(0.5)

    def look_at_boards(self, played: Iterable[Played]) -> None:
        """Notes the panels that show each fault whose alert was told, as soon as one does; fails when none does."""
        for each in (one for one in played if one.told is not None):
            asked = list(questions_about({each.fault.alert}, EVERYTHING))

            def panels_that_show(asked: Collection[Asked] = asked) -> tuple[str, ...]:
                # A window of minutes is full of what was before the fault; the rules' windows are shorter here, too.
                looks = [*self.ask_boards(asked).items(), *self.ask_boards(asked, _PACE).items()]
                shown = (one for one, answer in looks if one.shows(answer))
                return tuple(dict.fromkeys(f"{one.board}: {one.panel.title}" for one in shown))

            each.panels = until(panels_that_show)

    def ask_boards(self, asked: Collection[Asked], pace: Pace = PRODUCTION) -> Answers:
        """What the sandbox's Prometheus answers to queries of boards, whose durations are divided by the pace."""

        async def ask() -> Answers:
            async with httpx.AsyncClient(trust_env=False, timeout=HANG_SECONDS) as http:
                return await BoardQuestions(http, self.sandbox.info["prometheus_url"], pace).all(asked)

        return run(ask())

    def _until_clean(self, before: Report, started: float) -> tuple[float | None, tuple[Said, ...]]:
        """Seconds until all was clean again, or None and what was left."""
        left = frozenset[Said]()
        for _, report in self.reports(within_seconds=_CLEAN_WITHIN_SECONDS):
            left = report.problems
            if not left and report.unknown <= before.unknown:
                return time.monotonic() - started, ()
        return None, tuple(sorted(left, key=str))

    def _as_tenant(self, played: Played) -> View | None:
        kubeconfig = self.kubeconfigs.get(played.tenant)
        if kubeconfig is None or played.fault.scope is not Scope.TENANT:
            return None
        tenant = played.tenant
        arguments = self._with_key(tenant) if tenant in self._asked_of_github else (tenant,)
        return played.view(self.look(*arguments, is_watched=False, KUBECONFIG=str(kubeconfig)).problems)


@contextmanager
def drill(folder: Path, *, cluster: str) -> Iterator[Drill]:
    """A sandbox with both tenants; with `real`, the first one's own rights as well."""
    try:
        sandbox = start_sandbox(folder, "--cluster", cluster, "--alert-speed", ALERT_SPEED)
        drilled = Drill(sandbox, {})
        for name in (TENANT, BYSTANDER):
            drilled.add(name, GROUPS[name])
        yield drilled
    finally:
        stop_sandbox(folder)


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _tenant_kubeconfig(sandbox: Sandbox, tenant: str) -> Path:
    """A kubeconfig of a service account that has the tenant's role in the tenant's namespace, and nothing else."""
    account = f"--serviceaccount={tenant}:developer"
    for arguments in (
        ("create", "serviceaccount", "developer", "-n", tenant),
        ("create", "rolebinding", "developers", "-n", tenant, f"--clusterrole={TENANT_ROLE}", account),
    ):
        made = sandbox.kubectl(*arguments)
        assert made.code == 0, made
    token = sandbox.kubectl("create", "token", "developer", "-n", tenant, "--duration=4h")
    assert token.code == 0, token.err
    return write_kubeconfig(
        sandbox.folder.parent / f"{tenant}.kubeconfig",
        url=sandbox.info["api_url"],
        ca_path=Path(sandbox.info["ca_path"]),
        user={"token": token.out.strip()},
    )
