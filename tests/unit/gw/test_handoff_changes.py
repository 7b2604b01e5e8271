"""What a hand-over tells of a shift: lost jobs, and what changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.ledger import RerunState
from actions_gateway.metrics.catalog import Component
from cli.objects import gateway
from gw.ops.handoff.model import Gap, Section
from gw.ops.handoff.shift import lost_jobs_of, sections_of
from gw.sources.changes import RESTARTED, EditFact, ObjectFact
from gw.sources.facts import Facts, Known, Missing
from gw.sources.gateways import parse_gateway
from gw.sources.lostjobs import UNREADABLE
from gw.sources.pods import ContainerFact, PodFact, PodRole
from gw.sources.shiftseries import FiredFact, HoleFact, ToldFact
from support.clock import START
from support.monitoring import MONITORING
from unit.gw.handoff_facts import FORBIDDEN, SERIES, SILENCE, SINCE, ago, alert, alerting, facts, lost, shift, watched


def test_the_jobs_of_the_shift_are_documented_and_older_ones_while_they_wait_for_a_person() -> None:
    jobs = (
        lost(),
        lost(runner="r2", state=RerunState.REQUESTED.value),
        lost(runner="r3", lost_at=ago(days=3)),
        lost(runner="r4", lost_at=ago(days=3), state=RerunState.REQUESTED.value),
        lost(runner="r5", lost_at=None, state=UNREADABLE),
    )
    found = lost_jobs_of(facts(lost_jobs=Known(jobs)), SINCE)
    assert [(job.state, job.needs_person) for job in found] == [
        ("exhausted", True),
        ("requested", False),
        ("exhausted", True),
        (UNREADABLE, True),
    ]
    assert found[0].run == "octo/demo run 17"


# -- what changed ------------------------------------------------------------------------------------------------------


def sections(known: Facts | None = None, **more: Any) -> dict[str, Section]:
    return {section.id: section for section in sections_of(known or facts(), shift(**more))}


def thing(*edits: EditFact, **more: Any) -> ObjectFact:
    return ObjectFact("team-a", "ci", ago(days=30), edits, **more)


def looked_for(section: Section) -> tuple[Gap, ...]:
    """Without what nobody can know."""
    return tuple(gap for gap in section.gaps if gap.is_looked_for)


def told(section: Section) -> list[tuple[str, str, str]]:
    return [(each.subject, each.what, each.by) for each in section.entries]


def test_a_rotation_is_sure_when_its_writer_owns_nothing_else_of_the_spec() -> None:
    sure = EditFact("kubectl-patch", ago(hours=1), ("spec.gitHubAppRef.name",))
    other = EditFact("argocd", ago(hours=2), ("spec.gitHubAppRef.name", "spec.gitHubURL", "spec.paused"))
    old = EditFact("kubectl-edit", ago(days=2), ("spec.gitHubAppRef.name",))
    found = sections(gateways=Known((thing(old, other, sure),)))
    assert told(found["rotations"]) == [
        ("team-a/ci", "its writer owns spec.gitHubAppRef and changed that or 2 other fields of the spec", "argocd"),
        ("team-a/ci", "its writer owns spec.gitHubAppRef and changed it", "kubectl-patch"),
    ]
    assert told(found["specs"])[1] == ("team-a/ci", "changed spec.gitHubAppRef.name", "kubectl-patch")


def test_the_making_of_a_gateway_is_no_edit_and_its_deletion_is_told() -> None:
    made = EditFact("kubectl-create", ago(hours=1), ("spec.gitHubAppRef.name", "spec.gitHubURL"))
    young = ObjectFact("team-b", "ci", ago(hours=1), (made,), deleted_at=ago(minutes=5))
    found = sections(gateways=Known((young,)))
    assert found["rotations"].entries == ()
    assert told(found["specs"]) == [
        ("team-b/ci", "made", "kubectl-create"),
        ("team-b/ci", "is being deleted since then", ""),
    ]


def test_statuses_are_no_edits() -> None:
    status = EditFact("actions-gateway-gmc-status", ago(hours=1), ("status.phase",), "status")
    found = sections(gateways=Known((thing(status),)), quotas=Known((thing(status),)))
    assert found["specs"].entries == found["quotas"].entries == ()


def test_an_edit_of_many_fields_names_some_and_counts_the_rest() -> None:
    edit = EditFact("kubectl-edit", ago(hours=1), tuple(f"spec.field{number}" for number in range(12)))
    (entry,) = sections(gateways=Known((thing(edit),)))["specs"].entries
    assert entry.what.startswith("changed at least one of spec.field0, ")
    assert entry.what.endswith("spec.field7 and 4 more")


def test_quotas_of_other_namespaces_are_none_of_ours() -> None:
    edit = EditFact("kubectl-edit", ago(hours=1), ("spec.hard[requests.cpu]",))
    other = replace(thing(edit), namespace="shop")
    known = facts(gateways=Known((parse_gateway(gateway("team-a")),)))
    found = sections(known, quotas=Known((thing(edit), other)))
    assert told(found["quotas"]) == [("team-a/ci", "changed spec.hard[requests.cpu]", "kubectl-edit")]


def test_restarts_are_asked_for_or_happen() -> None:
    asked = thing(EditFact("kubectl-rollout", ago(hours=1), (RESTARTED,)), restarted_at=ago(hours=1))
    died = ContainerFact("agc", restart_count=3, last_reason="Error", last_ended_at=ago(minutes=30))
    long_ago = ContainerFact("agc", restart_count=1, last_reason="Error", last_ended_at=ago(days=2))
    agent = PodFact("team-a", "agent-1", PodRole.AGENT, "Running", ago(minutes=59), containers=(died,))
    still = PodFact("team-b", "agent-1", PodRole.AGENT, "Running", ago(days=9), containers=(long_ago,))
    worker = PodFact("team-a", "runner-1", PodRole.WORKER, "Running", ago(minutes=5))
    found = sections(facts(pods=Known((agent, still, worker))), deployments=Known((asked,)))["restarts"]
    assert told(found) == [
        ("team-a/ci", "a restart was asked for", "kubectl-rollout"),
        ("team-a/agent-1", "a new agent pod", ""),
        ("team-a/agent-1", "container agc ended: Error; 3 restarts since the pod was made", ""),
    ]


def test_alerts_are_prometheuss_or_else_those_that_still_fire() -> None:
    fired = FiredFact("ActionsGatewayX", "page", "team-a/cpu", ago(hours=3), ago(hours=2), False)
    found = sections(series=Known(replace(SERIES, fired=(fired,))))["alerts"]
    assert told(found) == [("ActionsGatewayX team-a/cpu", "page, until 2026-01-05 07:00 UTC", "")]
    assert found.gaps == ()
    blind = sections(watched(alert()), series=Missing("there is no Prometheus", "name one"))["alerts"]
    assert told(blind) == [("ActionsGatewayX team-a", "page, still fires: no session", "")]
    assert blind.gaps == (Gap("which alerts came and went: there is no Prometheus", "name one"),)


def test_an_alert_says_how_often_it_fired_and_when_it_did_before_the_shift() -> None:
    fired = FiredFact("ActionsGatewayX", "", "", SINCE, ago(hours=2), True, times=3)
    found = sections(series=Known(replace(SERIES, fired=(fired,))))["alerts"]
    assert told(found) == [("ActionsGatewayX", "no severity, fired before the shift began, 3 times, still fires", "")]


def test_alerts_of_rules_that_nobody_evaluates_are_unknown() -> None:
    unruled = replace(MONITORING, alerts={})
    (gap,) = sections(facts(monitoring=Known(unruled)))["alerts"].gaps
    assert gap.reason.startswith("what else would have fired: Prometheus at x does not evaluate ")
    (gap,) = sections(facts(monitoring=FORBIDDEN))["alerts"].gaps
    assert gap == Gap(f"whether the alert rules are evaluated: {FORBIDDEN.reason}", "ask")
    assert sections(facts(monitoring=Known(replace(MONITORING, alertmanager_count=0))))["alerts"].gaps == (), (
        "what fires is Prometheus's own to know"
    )


BOTH_DOWN = tuple(HoleFact(component, ago(hours=5), ago(hours=3)) for component in Component)


def test_alerts_and_deletions_while_prometheus_had_nothing_are_unknown() -> None:
    found = sections(watched(), series=Known(replace(SERIES, holes=BOTH_DOWN)))
    times = "from 2026-01-05 04:00 to 2026-01-05 06:00 UTC"
    assert found["alerts"].gaps == (
        Gap(f"what else would have fired: Prometheus at x has nothing of the manager and agents {times}"),
    )
    assert looked_for(found["specs"]) == (
        Gap(f"which other gateways were deleted: Prometheus at x has nothing of the manager {times}"),
    )


def test_many_holes_are_counted() -> None:
    holes = tuple(HoleFact(Component.MANAGER, ago(hours=hour + 0.5), ago(hours=hour)) for hour in range(9, 2, -1))
    (gap,) = sections(series=Known(replace(SERIES, holes=holes)))["alerts"].gaps
    assert gap.reason.endswith("from 2026-01-05 01:30 to 2026-01-05 02:00 UTC and 4 more times")


@pytest.mark.parametrize("intention", ["contained", "new"])
def test_no_agent_is_missed_that_nobody_wanted(intention: str) -> None:
    made = gateway("team-a", seconds_old=600 if intention == "new" else 86400)
    if intention == "contained":
        made["metadata"]["annotations"] = {labels.CONTAINED: "incident"}
    known = replace(watched(), gateways=Known((parse_gateway(made),)))
    hole = HoleFact(Component.AGENT, SINCE, ago(minutes=8))
    assert sections(known, series=Known(replace(SERIES, holes=(hole,))))["alerts"].gaps == ()
    assert len(sections(watched(), series=Known(replace(SERIES, holes=(hole,))))["alerts"].gaps) == 1


def test_a_gateway_that_the_manager_told_of_and_that_is_no_more_was_deleted() -> None:
    series = replace(
        SERIES,
        gateways=(
            ToldFact("uid-team-a", "team-a/team-a", START, True),
            ToldFact("uid-before", "team-a/team-a", ago(hours=4), False),
            ToldFact("uid-z", "team-z/ci", ago(hours=13), False),
        ),
    )
    found = sections(watched(), series=Known(series))["specs"]
    assert [(each.at, *words) for each, words in zip(found.entries, told(found), strict=True)] == [
        (ago(hours=4), "team-a/team-a", "deleted; the manager told of it until then", "")
    ]
    assert looked_for(found) == ()


def test_a_gateway_that_is_told_of_and_not_here_may_be_anothers() -> None:
    series = replace(SERIES, gateways=(ToldFact("uid-z", "team-z/ci", START, True),))
    found = sections(watched(), series=Known(series))["specs"]
    assert found.entries == ()
    assert looked_for(found) == (
        Gap("whether team-z/ci was deleted: Prometheus at x still has it, and this cluster not"),
    )


@pytest.mark.parametrize("blind", ["series", "gateways"])
def test_without_prometheus_or_gateways_deletions_are_unknown(blind: str) -> None:
    known = replace(watched(), gateways=FORBIDDEN) if blind == "gateways" else watched()
    found = sections(known, **({"series": FORBIDDEN} if blind == "series" else {}))
    assert looked_for(found["specs"]) == (Gap(f"which gateways were deleted: {FORBIDDEN.reason}", "ask"),)


def test_edits_of_what_nothing_is_noted_of_are_unknown() -> None:
    bare, fine = thing(is_told=False), replace(thing(), name="other")
    known = facts(gateways=Known((parse_gateway(gateway("team-a")),)))
    found = sections(known, gateways=Known((bare, fine)), quotas=Known((bare, replace(bare, namespace="shop"))))
    for section in ("rotations", "quotas", "specs"):
        (gap,) = looked_for(found[section])
        assert gap.reason == "edits of team-a/ci: what managedFields say of them is gone or unreadable"
        assert "audit log" in gap.next_step


def test_silences_are_told_and_those_that_end_soon_expire() -> None:
    later = replace(SILENCE, id="s2", ends_at=START + timedelta(days=9), is_active=False)
    found = sections(facts(alerting=alerting(silences=(SILENCE, later))))
    assert len(found["silences"].entries) == 2
    assert told(found["expiring"]) == [('alertname="X"', "this silence ends", "carol")]


def test_silences_that_ended_in_the_shift_are_told_and_expire_no_more() -> None:
    over = replace(SILENCE, is_active=False, is_over=True, ends_at=ago(hours=1))
    before = replace(over, id="s0", ends_at=ago(hours=13))
    found = sections(facts(alerting=alerting(silences=(over, before))))
    assert told(found["silences"]) == [('alertname="X"', "over, ended 2026-01-05 08:00 UTC: known", "carol")]
    assert found["expiring"].entries == ()


def test_new_pods_of_one_role_share_a_line() -> None:
    proxies = [PodFact("team-a", f"proxy-{n}", PodRole.PROXY, "Running", ago(hours=3 - n)) for n in range(3)]
    other = PodFact("team-b", "proxy-9", PodRole.PROXY, "Running", ago(hours=5))
    assert told(sections(facts(pods=Known((*proxies, other))))["restarts"]) == [
        ("team-b/proxy-9", "a new proxy pod", ""),
        ("team-a", "3 new proxy pods that are still there, proxy-2 the latest", ""),
    ]


def test_runs_that_wait_for_a_person_leave_the_ledger() -> None:
    jobs = (
        lost(),
        lost(runner="r2", lost_at=ago(hours=1), state=RerunState.REQUESTED.value),
        lost(runner="r3", run_id=18, state=RerunState.REQUESTED.value),
        lost(runner="r4", run_id=19, lost_at=None, state=UNREADABLE),
        lost(runner="r5", run_id=20, state=RerunState.EXPIRED.value),
        lost(runner="r6", run_id=21),
        lost(runner="r7", run_id=21, state=RerunState.PENDING.value),
    )
    found = sections(facts(lost_jobs=Known(jobs)))["expiring"].entries
    assert [(each.subject, each.at) for each in found] == [
        ("team-a run 17", START + timedelta(hours=23)),
        ("team-a run 20", START + timedelta(hours=46)),
    ]
    blind = sections(facts(lost_jobs=FORBIDDEN))["expiring"].gaps
    assert blind[0] == Gap(f"which lost jobs leave their ledger soon: {FORBIDDEN.reason}")


def test_what_cannot_be_read_is_a_gap_in_its_section_and_nowhere_else() -> None:
    found = sections(facts(pods=FORBIDDEN, manager_pods=FORBIDDEN), quotas=Missing("could not list quotas", "ask"))
    assert looked_for(found["quotas"]) == (Gap("could not list quotas", "ask"),)
    assert found["restarts"].gaps == (Gap(FORBIDDEN.reason, "ask"),)
    assert looked_for(found["specs"]) == ()


def test_what_nobody_can_know_is_said_and_fails_no_hand_over() -> None:
    gaps = sections()["expiring"].gaps
    assert gaps
    assert not any(gap.is_looked_for for gap in gaps)
