"""How every write of gw goes about it: rights, dry run, fields, GitOps, the question, edits meanwhile, broken lines."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from cli.double import ClusterDouble
from gw.errors import Blind, GwError, Refused
from gw.exits import ExitCode
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.plan import Action, Plan, Step, change_step, create_step, delete_step, unchanged_step

Manifest = dict[str, Any]
NAMESPACE: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}
ARGO = {"argocd.argoproj.io/tracking-id": "tenants:/ResourceQuota:team-a/limits"}


def quota(hard: str = "10", *, version: str = "7", used: str = "1", **metadata: Any) -> Manifest:
    """A quota as it is stored."""
    named = {"name": "limits", "namespace": "team-a", "uid": "u-1", "resourceVersion": version, **metadata}
    stored = {"hard": {"pods": hard}, "used": {"pods": used}}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": named,
        "spec": {"hard": {"pods": hard}},
        "status": stored,
    }


def secret(name: str) -> Manifest:
    metadata = {"name": name, "namespace": "team-a"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"privateKey": "cGxhbnRlZA=="}}


class Person:
    """A conversation with somebody who agrees, or not."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.plans: list[Plan] = []
        self.asked: list[str] = []
        self.heard: list[str] = []
        self.before_the_answer: Callable[[], None] = lambda: None

    def checked(self, what: str) -> None:
        self.heard.append(f"checked {what}")

    def show_plan(self, plan: Plan) -> None:
        self.plans.append(plan)

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        self.before_the_answer()
        return self.agrees

    def confirm_by_name(self, question: str, name: str) -> bool:
        self.asked.append(f"{question} [{name}]")
        return self.agrees

    def goes_on_with(self, command: str) -> None: ...

    def wrote(self, step: Step) -> None:
        self.heard.append(f"wrote {step}")

    def left_open(self, step: Step) -> None:
        self.heard.append(f"left open {step}")

    def undid(self, step: Step) -> None:
        self.heard.append(f"undid {step}")

    def reached(self, what: str) -> None: ...
    def waiting(self, what: str) -> None: ...


def carried(
    cluster: ClusterDouble,
    plan: Plan,
    manner: Manner | None = None,
    *,
    person: Person | None = None,
    destroys: str = "",
) -> Carried:
    work = carry_out(
        cast("Any", cluster),
        plan,
        manner or Manner(),
        conversation=person or Person(),
        field_manager="gw-test",
        question="Write it?",
        destroys=destroys,
    )
    return asyncio.run(work)


@pytest.mark.parametrize("interrupt", [asyncio.CancelledError, KeyboardInterrupt])
def test_an_interrupt_inside_of_a_write_is_told_with_its_step(interrupt: type[BaseException]) -> None:
    class Interrupted(ClusterDouble):
        async def create(self, *arguments: Any, **how: Any) -> Any:
            if not how.get("dry_run"):
                raise interrupt
            return {}

    person = Person()
    step = create_step({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "team-a"}})
    with pytest.raises(interrupt):
        carried(Interrupted(), Plan("team-a", (step,)), person=person)
    assert person.heard == ["left open ConfigMap x"]


def raised(cluster: ClusterDouble, plan: Plan, *arguments: Any, **options: Any) -> GwError:
    with pytest.raises(GwError) as found:
        carried(cluster, plan, *arguments, **options)
    return found.value


def raising(live: Manifest, pods: str = "20") -> Plan:
    """A plan that raises the quota."""
    return Plan("team-a", (change_step(live, {"spec": {"hard": {"pods": pods}}}),))


@pytest.fixture
def cluster() -> ClusterDouble:
    return ClusterDouble(NAMESPACE, quota())


def test_the_plan_shows_what_the_server_makes_of_it_and_is_written_after_a_yes(cluster: ClusterDouble) -> None:
    person = Person()
    result = carried(cluster, raising(quota()), person=person)
    (step,) = person.plans[0].steps
    assert [str(field) for field in step.fields] == ["~ spec.hard.pods: 10 -> 20"]
    assert person.asked == ["Write it?"]
    assert result.is_written
    assert result.exit_code is ExitCode.OK
    assert cluster.objects[("resourcequotas", "team-a", "limits")]["spec"]["hard"] == {"pods": "20"}


@pytest.mark.parametrize("manner", [Manner(dry_run=True), Manner(export=True)])
def test_a_dry_run_and_an_export_write_nothing_and_ask_nobody(cluster: ClusterDouble, manner: Manner) -> None:
    person = Person()
    result = carried(cluster, raising(quota()), manner, person=person)
    assert (result.is_written, person.asked, cluster.patched) == (False, [], [])


def test_what_stands_already_is_neither_asked_for_nor_written(cluster: ClusterDouble) -> None:
    person = Person()
    result = carried(cluster, raising(quota(), "10"), person=person)
    assert [step.action for step in result.plan.steps] == [Action.UNCHANGED]
    assert (result.is_written, person.asked, cluster.patched, cluster.rehearsed) == (False, [], [], [])


def test_a_patch_that_the_server_makes_nothing_of_is_not_written(cluster: ClusterDouble) -> None:
    live = quota(labels={"team": "a"})
    cluster.put(live)
    result = carried(cluster, Plan("team-a", (change_step(live, {"metadata": {"labels": {"other": None}}}),)))
    assert (result.is_written, cluster.patched) == (False, [])


def test_no_means_that_nothing_is_written(cluster: ClusterDouble) -> None:
    problem = raised(cluster, raising(quota()), person=Person(agrees=False))
    assert isinstance(problem, Refused)
    assert cluster.patched == []


@pytest.mark.parametrize(
    ("manner", "says"),
    [
        (Manner(yes=True), "--yes --confirm team-a"),
        (Manner(yes=True, confirm="team-b"), "not about team-b"),
        (Manner(confirm="team-a"), "--yes --confirm team-a"),
    ],
)
def test_what_destroys_wants_the_name_even_with_yes(cluster: ClusterDouble, manner: Manner, says: str) -> None:
    plan = Plan("team-a", (delete_step(quota()),))
    problem = raised(cluster, plan, manner, destroys="team-a")
    assert says in f"{problem.what} {problem.next_step}"
    assert cluster.deleted == []
    assert carried(cluster, plan, Manner(yes=True, confirm="team-a"), destroys="team-a").is_written
    assert cluster.deleted == ["ResourceQuota limits"]


def test_a_person_types_the_name_of_what_goes(cluster: ClusterDouble) -> None:
    person = Person()
    carried(cluster, Plan("team-a", (delete_step(quota()),)), person=person, destroys="team-a")
    assert person.asked == ["Write it? Type team-a to go on: [team-a]"]


def test_a_missing_right_is_said_with_the_role_that_has_it_before_anything_is_tried(cluster: ClusterDouble) -> None:
    cluster.denied = {("patch", "resourcequotas")}
    problem = raised(cluster, raising(quota()))
    assert isinstance(problem, Refused)
    assert "patch resourcequotas in team-a" in problem.what
    assert "gw-oncall has it" in problem.next_step
    assert cluster.rehearsed == []


def test_what_gitops_keeps_is_not_written_and_goes_to_git_instead() -> None:
    live = quota(annotations=ARGO)
    cluster = ClusterDouble(NAMESPACE, live)
    result = carried(cluster, raising(live))
    assert result.kept_by == ("Argo CD (application tenants)",)
    assert result.exit_code is ExitCode.REFUSED
    assert result.for_git == [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "limits", "namespace": "team-a"},
            "spec": {"hard": {"pods": "20"}},
        }
    ]
    assert (cluster.patched, cluster.rehearsed) == ([], [])
    assert carried(cluster, raising(live, "10")).exit_code is ExitCode.OK, "git has it already"


def test_an_edit_of_other_fields_between_plan_and_write_is_no_matter(cluster: ClusterDouble) -> None:
    """A quota's status changes with every pod."""
    person = Person()
    person.before_the_answer = lambda: cluster.put(quota(version="8", used="2"))
    assert carried(cluster, raising(quota()), person=person).is_written
    assert cluster.objects[("resourcequotas", "team-a", "limits")]["spec"]["hard"] == {"pods": "20"}


def test_an_edit_of_the_same_field_between_plan_and_write_is_left_alone(cluster: ClusterDouble) -> None:
    edit = {
        "manager": "kubectl-edit",
        "time": "2026-01-05T09:00:00Z",
        "fieldsV1": {"f:spec": {"f:hard": {"f:pods": {}}}},
    }
    person = Person()
    person.before_the_answer = lambda: cluster.put(quota("15", version="8", managedFields=[edit]))
    problem = raised(cluster, raising(quota()), person=person)
    assert isinstance(problem, Refused)
    assert "by kubectl-edit (spec.hard.pods)" in problem.what
    assert cluster.objects[("resourcequotas", "team-a", "limits")]["spec"]["hard"] == {"pods": "15"}


def test_a_successor_of_the_same_name_is_not_changed(cluster: ClusterDouble) -> None:
    person = Person()
    person.before_the_answer = lambda: cluster.put(quota(version="8", uid="u-2"))
    assert "metadata.uid" in raised(cluster, raising(quota()), person=person).what


def test_a_refusal_takes_back_what_this_run_made_and_names_what_stays_changed(cluster: ClusterDouble) -> None:
    person = Person()
    plan = Plan(
        "team-a",
        (
            create_step(secret("github-app-v2")),
            *raising(quota()).steps,
            create_step({**secret("other"), "kind": "ConfigMap"}),
        ),
    )
    person.before_the_answer = lambda: cluster.put({**secret("other"), "kind": "ConfigMap"})
    problem = raised(cluster, plan, person=person)
    assert "appeared meanwhile" in problem.what
    assert cluster.names(r.SECRETS) == []
    assert person.heard == ["wrote Secret github-app-v2", "wrote ResourceQuota limits", "undid Secret github-app-v2"]
    assert problem.details == ("Written so far: ResourceQuota limits.",)


def test_a_line_that_breaks_takes_nothing_back_and_says_what_may_stand(cluster: ClusterDouble) -> None:
    person = Person()
    plan = Plan("team-a", (create_step(secret("github-app-v2")), *raising(quota()).steps))

    def cut() -> None:
        cluster.refusals[("patch", "resourcequotas")] = errors.Unreachable("the connection broke")

    person.before_the_answer = cut
    problem = raised(cluster, plan, person=person)
    assert isinstance(problem, Blind)
    assert cluster.names(r.SECRETS) == ["github-app-v2"]
    assert problem.details == (
        "Written so far: Secret github-app-v2.",
        "No answer came about the ResourceQuota limits: it may have been written all the same.",
    )
    assert problem.next_step.startswith("Run the same command again")


def test_what_is_deleted_already_counts_as_deleted(cluster: ClusterDouble) -> None:
    plan = Plan("team-a", (delete_step(quota()),))
    del cluster.objects[("resourcequotas", "team-a", "limits")]
    assert carried(cluster, plan, Manner(yes=True)).is_written


def test_a_secrets_values_are_in_no_plan_and_in_no_git(cluster: ClusterDouble) -> None:
    live = secret("github-app-v1")
    cluster.put(live)
    person = Person()
    steps = (create_step(secret("github-app-v2")), change_step(live, {"data": {"privateKey": "b3RoZXI="}}))
    result = carried(cluster, Plan("team-a", steps), person=person)
    assert [str(field) for field in person.plans[0].steps[1].fields] == ["~ data.privateKey: (hidden) -> (hidden)"]
    shown = f"{result!r} {person.plans!r} {result.for_git}"
    assert [text for text in ("cGxhbnRlZA==", "b3RoZXI=") if text in shown] == []


def test_in_a_new_namespace_the_rest_is_checked_before_any_of_it_is_written() -> None:
    cluster = ClusterDouble()
    plan = Plan("team-a", (create_step(NAMESPACE), create_step(secret("a")), unchanged_step(secret("b"))))
    result = carried(cluster, plan)
    assert cluster.created == ["Namespace team-a", "Secret a"]
    assert cluster.rehearsed == ["Namespace team-a", "Secret a"]
    assert any("does not exist yet" in what for what in result.plan.unproven)
