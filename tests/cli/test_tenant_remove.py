"""`gw tenant remove`."""

import json
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r

from .objects import gateway
from .rig import check_golden
from .tenancy import TENANT, Tenancy

REMOVE = ("tenant", "remove", TENANT)
SURE = ("--yes", "--confirm", TENANT)
PLACE = (r.NAMESPACES.plural, "", TENANT)


@pytest.fixture
def tenancy() -> Tenancy:
    return Tenancy()


def remains(tenancy: Tenancy) -> dict[str, list[str]]:
    """What is left of the tenant."""
    kinds = (r.NAMESPACES, r.ACTIONSGATEWAYS, r.RUNNERGROUPS, r.PODS)
    return {kind.kind: names for kind in kinds if (names := tenancy.cluster.names(kind))}


def test_a_tenant_is_drained_and_goes_with_its_namespace(tenancy: Tenancy) -> None:
    answer = tenancy(*REMOVE, answer=f"{TENANT}\n")
    assert answer.code == 0, answer
    check_golden("tenant-remove.table.txt", answer.out + answer.err)
    assert remains(tenancy) == {}
    assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"]


def test_the_document_of_a_removal_is_as_kept(tenancy: Tenancy) -> None:
    answer = tenancy(*REMOVE, *SURE, "--keep-namespace", "-o", "json")
    assert answer.code == 0, answer
    check_golden("tenant-remove.json.txt", answer.out)
    assert remains(tenancy) == {"Namespace": [TENANT]}


def test_jobs_that_do_not_end_are_named_and_the_gateway_stays_paused(tenancy: Tenancy) -> None:
    tenancy.ends_jobs = False
    answer = tenancy(*REMOVE, *SURE, "--timeout", "5s")
    assert answer.code == 5, answer
    assert "it is paused, and after 5 s build of octo/demo (run 17000000001) runs" in answer.err
    assert "The gateway is paused and not deleted." in answer.err
    assert f"gw tenant resume {TENANT}" in answer.err
    assert tenancy.gateway["spec"]["paused"] is True
    assert "deletionTimestamp" not in tenancy.gateway["metadata"]
    tenancy.ends_jobs = True
    assert tenancy(*REMOVE, *SURE).code == 0
    assert remains(tenancy) == {}
    assert tenancy.cluster.patched == [f"ActionsGateway {TENANT}"], "paused once"


def test_force_says_before_what_is_lost_and_left(tenancy: Tenancy) -> None:
    tenancy.ends_jobs = False
    answer = tenancy(*REMOVE, "--force", answer="\n")
    assert answer.code == 2, answer
    check_golden("tenant-remove-force.refused.txt", answer.err)
    assert remains(tenancy)["ActionsGateway"] == [TENANT]
    answer = tenancy(*REMOVE, "--force", *SURE)
    assert answer.code == 0, answer
    assert remains(tenancy) == {}
    assert tenancy.cluster.patched == [], "it is not paused first"


def test_what_somebody_elses_finalizer_holds_is_told(tenancy: Tenancy) -> None:
    tenancy.gateway["metadata"]["finalizers"].append("example.com/hold")
    answer = tenancy(*REMOVE, *SURE, "--timeout", "20s")
    assert answer.code == 5, answer
    assert (
        "ActionsGateway team-a/team-a (finalizer example.com/hold; Still there: RunnerGroup team-a-cpu)" in answer.err
    )
    assert "goes on from there" in answer.err
    del tenancy.cluster.objects[r.ACTIONSGATEWAYS.plural, TENANT, TENANT]
    again = tenancy(*REMOVE, *SURE)
    assert again.code == 0, again
    assert remains(tenancy) == {}


def test_without_a_manager_it_says_that_nobody_takes_it_down(tenancy: Tenancy) -> None:
    tenancy.has_manager = False
    answer = tenancy(*REMOVE, "--force", *SURE, "--timeout", "5s")
    assert answer.code == 5, answer
    assert "No manager takes it down: see `gw health --check manager.running" in answer.err
    assert "Written so far" not in answer.err or "Namespace" not in answer.err
    assert PLACE in tenancy.cluster.objects


@pytest.mark.parametrize("step", ["patch actionsgateways", "delete actionsgateways", "delete namespaces"])
def test_a_connection_that_breaks_at_any_step_is_gone_on_with_to_the_same_end(tenancy: Tenancy, step: str) -> None:
    verb, _, plural = step.partition(" ")
    write = getattr(tenancy.cluster, verb)

    async def lost(resource: r.Resource, *arguments: Any, **how: Any) -> Any:
        result = await write(resource, *arguments, **how)
        if resource.plural == plural and not how.get("dry_run"):
            raise errors.Unreachable("the connection broke before the answer came")
        return result

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tenancy.cluster, verb, lost)
        answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 3, answer
    assert "it may have been written all the same" in answer.err
    # The namespace was the last of it: of a tenant that is gone nothing is left to know it by.
    again = tenancy(*REMOVE, *SURE, "--ignore-not-found")
    assert again.code == 0, again
    assert remains(tenancy) == {}


@pytest.mark.parametrize("at", range(1, 7))
def test_an_interrupt_at_any_moment_says_what_stands_and_is_gone_on_with(tenancy: Tenancy, at: int) -> None:
    step = tenancy.step

    def interrupt() -> None:
        step()
        if tenancy.steps == at:
            raise KeyboardInterrupt

    tenancy.gw.clock.on_sleep = interrupt
    answer = tenancy(*REMOVE, *SURE)
    tenancy.gw.clock.on_sleep = step
    if tenancy.steps >= at:
        assert answer.code == 130, answer
        assert f"Interrupted; written so far: ActionsGateway {TENANT}" in answer.err
        assert "Run the same command again: it goes on there." in answer.err
        answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 0, answer
    assert remains(tenancy) == {}


def test_a_namespace_that_gw_did_not_make_stays_and_a_second_run_is_fine(tenancy: Tenancy) -> None:
    tenancy.cluster.objects[PLACE]["metadata"]["labels"] = {labels.TENANT: labels.TENANT_MARK}
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 0, answer
    assert "stays with its Secrets and quotas, since gw did not make it" in answer.err
    assert remains(tenancy) == {"Namespace": [TENANT]}
    again = tenancy(*REMOVE, *SURE)
    assert again.code == 0, again
    assert json.loads(tenancy(*REMOVE, *SURE, "-o", "json").out)["changed"] is False


def test_every_gateway_of_the_namespace_goes(tenancy: Tenancy) -> None:
    tenancy.cluster.put(gateway(TENANT, "younger", seconds_old=60))
    answer = tenancy(*REMOVE, *SURE, "--keep-namespace")
    assert answer.code == 0, answer
    assert tenancy.cluster.deleted[0] == "ActionsGateway younger"
    assert tenancy.cluster.names(r.ACTIONSGATEWAYS) == []


def test_what_else_lives_in_the_namespace_is_named_before(tenancy: Tenancy) -> None:
    database = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "database", "namespace": TENANT}}
    tenancy.cluster.put(database)
    answer = tenancy(*REMOVE, "--dry-run")
    assert answer.code == 0, answer
    assert "everything else in it, also StatefulSet database" in answer.err
    assert tenancy.cluster.deleted == []
    assert tenancy.cluster.patched == []


def test_a_contained_tenant_is_not_waited_for(tenancy: Tenancy) -> None:
    tenancy.gateway["metadata"]["annotations"] = {labels.CONTAINED: "INC-1"}
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 0, answer
    assert tenancy.cluster.patched == []


def test_somebody_who_resumes_it_meanwhile_is_heeded(tenancy: Tenancy) -> None:
    tenancy.ends_jobs = False
    step = tenancy.step

    def resume() -> None:
        step()
        if tenancy.steps == 3:
            tenancy.gateway["spec"]["paused"] = False

    tenancy.gw.clock.on_sleep = resume
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 2, answer
    assert "somebody has resumed team-a meanwhile" in answer.err
    assert "deletionTimestamp" not in tenancy.gateway["metadata"]


@pytest.mark.parametrize(
    ("arguments", "how", "words"),
    [
        ((), {}, "no terminal to ask on"),
        (("--yes",), {}, "was not confirmed by name"),
        (("--yes", "--confirm", "team-b"), {}, "this is not about team-b"),
        ((), {"answer": "y\n"}, "was not confirmed"),
        (("--timeout", "soon"), {}, "--timeout"),
    ],
)
def test_nothing_goes_that_was_not_named(
    tenancy: Tenancy, arguments: tuple[str, ...], how: dict[str, Any], words: str
) -> None:
    answer = tenancy(*REMOVE, *arguments, **how)
    assert answer.code == 2, answer
    assert words in answer.err
    assert (tenancy.cluster.patched, tenancy.cluster.deleted) == ([], [])


@pytest.mark.parametrize("arguments", [(), SURE, ("--dry-run",), ("--force", *SURE), ("--keep-namespace",)])
def test_a_tenant_that_is_gone_is_nothing_to_do(tenancy: Tenancy, arguments: tuple[str, ...]) -> None:
    assert tenancy(*REMOVE, *SURE).code == 0
    tenancy.cluster.deleted.clear()
    arguments = (*arguments, "--ignore-not-found")
    again = tenancy(*REMOVE, *arguments)
    assert (again.code, again.err) == (0, ""), again
    assert again.out == f"Nothing to remove: there is no namespace {TENANT}.\n"
    document = json.loads(tenancy(*REMOVE, *arguments, "-o", "json").out)
    assert (document["changed"], document["stands"], document["objects"]) == (False, True, [])
    assert document["dry_run"] is ("--dry-run" in arguments)
    assert tenancy.cluster.deleted == []


def test_of_a_name_that_is_nobodys_the_nearest_is_told(tenancy: Tenancy) -> None:
    answer = tenancy("tenant", "remove", "team-aa", *SURE)
    assert answer.code == 2, answer
    assert "there is no namespace team-aa" in answer.err
    assert "Did you mean team-a?" in answer.err
    assert "After an earlier removal, --ignore-not-found takes this for done." in answer.err
    assert remains(tenancy)["Namespace"] == [TENANT]


def test_a_namespace_that_the_caller_may_not_see_is_not_taken_for_gone(tenancy: Tenancy) -> None:
    for key in [key for key in tenancy.cluster.objects if key[1] == TENANT]:
        del tenancy.cluster.objects[key]
    tenancy.cluster.refusals["get", "namespaces"] = errors.Forbidden("namespaces is forbidden", status=403)
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 2, answer
    assert f"{TENANT} is not a tenant: no ActionsGateway is there" in answer.err


@pytest.mark.parametrize(("name", "words"), [("Team_A", "there is no namespace"), ("kube-system", "is reserved")])
def test_what_can_be_no_tenant_is_refused(tenancy: Tenancy, name: str, words: str) -> None:
    answer = tenancy("tenant", "remove", name, *SURE)
    assert answer.code == 2, answer
    assert words in answer.err


def test_missing_rights_are_named_before_anything_is_tried(tenancy: Tenancy) -> None:
    tenancy.cluster.denied |= {("delete", "actionsgateways"), ("delete", "namespaces")}
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 2, answer
    assert "you may not delete actionsgateways.actions-gateway.github.com in team-a and not delete namespaces" in (
        answer.err
    )
    assert (tenancy.cluster.patched, tenancy.cluster.deleted) == ([], [])


@pytest.mark.parametrize("key", [PLACE, (r.ACTIONSGATEWAYS.plural, TENANT, TENANT)])
def test_what_gitops_keeps_is_not_removed(tenancy: Tenancy, key: tuple[str, str, str]) -> None:
    metadata = tenancy.cluster.objects[key]["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), "kustomize.toolkit.fluxcd.io/name": "teams"}
    answer = tenancy(*REMOVE, *SURE)
    assert answer.code == 2, answer
    assert "Flux (Kustomization teams) keeps the" in answer.err
    assert (tenancy.cluster.patched, tenancy.cluster.deleted) == ([], [])
