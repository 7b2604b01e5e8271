"""gw quota show and gw quota adjust: arithmetic in words, which object is meant, refusals, and the proof afterwards."""

import json
from typing import Any

import pytest

from actions_gateway.api.footprint import footprint_of
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.headroom import worker_outline
from gw.errors import Refused
from gw.ops.quota.amounts import parse_wishes
from gw.ops.quota.proof import build_proof_pod
from gw.sources.gateways import parse_group
from gw.sources.quotas import parse_quota

from .double import ClusterDouble
from .objects import healthy_cluster, runner_group
from .rig import Gw, check_golden

Manifest = dict[str, Any]
ADJUST = ("quota", "adjust", "team-a")


def quota(name: str = "tenant", used: Manifest | None = None, **more: Any) -> Manifest:
    hard = more.pop("hard", {"pods": "10", "requests.cpu": "8", "requests.memory": "16Gi"})
    spent = {"pods": "4", "requests.cpu": "2", "requests.memory": "4Gi"} if used is None else used
    metadata = {"name": name, "namespace": "team-a", "uid": f"uid-{name}", **more.pop("metadata", {})}
    status = {"hard": dict(hard), "used": {key: spent[key] for key in hard if key in spent}}
    spec = {"hard": hard, **more}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec, "status": status}


def gw_with(*quotas: Manifest, controller: bool = True) -> Gw:
    """A tenant with these quotas; the quota controller copies their amounts while gw waits, unless it is gone."""
    gw = Gw(cluster=ClusterDouble(*healthy_cluster(), *quotas))

    def control() -> None:
        for (plural, _, _), manifest in gw.cluster.objects.items():
            if plural == r.RESOURCEQUOTAS.plural:
                manifest["status"]["hard"] = dict(manifest["spec"]["hard"])

    gw.clock.on_sleep = control if controller else lambda: None
    return gw


def hard_of(gw: Gw, name: str = "tenant") -> Manifest:
    return dict(gw.cluster.objects["resourcequotas", "team-a", name]["spec"]["hard"])


# -- show


def test_a_tenants_quotas_are_shown_by_key_with_what_binds() -> None:
    kept = {"labels": {"kustomize.toolkit.fluxcd.io/name": "tenants"}}
    bounded = quota("bounded", used={"pods": "1"}, hard={"pods": "3"}, scopes=["NotTerminating"], metadata=kept)
    gw = gw_with(quota(), bounded)
    answer = gw("quota", "show", "team-a")
    assert answer.code == 0, answer
    check_golden("quota-show.table.txt", answer.out)
    check_golden("quota-show.json.txt", gw("quota", "show", "team-a", "-o", "json").out)
    check_golden("quota-show.short.txt", gw("quota", "show", "team-a", "-o", "short").out)


def test_a_tenant_without_a_quota_is_told_so() -> None:
    answer = gw_with()("quota", "show", "team-a")
    assert answer.code == 0
    assert "No ResourceQuota bounds it; its groups' ceilings do." in answer.out
    assert "its own ceiling" in answer.out


def test_a_quota_that_nobody_has_counted_yet_is_said_to_be_so() -> None:
    fresh = quota()
    fresh["status"] = {}
    answer = gw_with(fresh)("quota", "show", "team-a")
    assert answer.code == 0
    assert "The quota controller has not counted it yet." in answer.out


def test_workers_of_each_tier_are_reserved_where_their_class_is_counted() -> None:
    critical = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["critical"]}]}
    tiers = [{"threshold": 5, "priorityClassName": "critical"}, {"threshold": 12, "priorityClassName": "standard"}]
    gw = gw_with(quota("critical", used={"pods": "0"}, hard={"pods": "20"}, scopeSelector=critical))
    for name in ("cpu", "gpu"):
        gw.cluster.put(runner_group(name=name, priorityTiers=tiers, maxWorkers=None))
    found = json.loads(gw("quota", "show", "team-a", "-o", "json").out)
    assert found["quotas"][0]["scopes"] == ["PriorityClass In critical"]
    assert found["quotas"][0]["keys"][0]["at_ceilings"] == "10"
    assert [each["at_ceiling"] for each in found["runner_groups"]] == [{"critical": {"pods": "5"}}] * 2


def test_a_worker_whose_cost_cannot_be_told_makes_the_report_blind() -> None:
    gw = gw_with(quota())
    container = {"name": "runner", "resources": {"requests": {"cpu": "much"}}}
    gw.cluster.put(runner_group(name="cpu", podTemplate={"spec": {"containers": [container]}}))
    answer = gw("quota", "show", "team-a")
    assert answer.code == 3
    assert "what one of its workers needs cannot be told" in answer.out


@pytest.mark.parametrize("words", [("show", "team-z"), ("adjust", "team-z", "pods=5")], ids=["show", "adjust"])
def test_a_namespace_that_is_no_tenant_is_refused(words: tuple[str, ...]) -> None:
    answer = gw_with(quota())("quota", *words)
    assert answer.code == 2
    assert "there is no namespace team-z" in answer.err


def test_quotas_that_may_not_be_read_leave_gw_blind() -> None:
    gw = gw_with(quota())
    gw.cluster.refusals["list", "resourcequotas"] = errors.Forbidden("resourcequotas is forbidden", status=403)
    assert gw("quota", "show", "team-a").code == 3
    assert gw(*ADJUST, "pods=20", "--yes").code == 3


# -- amounts


@pytest.mark.parametrize(
    ("wish", "now", "after"),
    [
        ("pods=50", "10", "50"),
        ("pods=+10", "10", "20"),
        ("pods=+25%", "10", "13"),
        ("requests.cpu=-500m", "2", "1500m"),
        ("requests.cpu=+10%", "1500m", "1650m"),
        ("requests.memory=+50%", "64Gi", "96Gi"),
        ("requests.memory=+33%", "10Gi", "13620Mi"),
        ("requests.storage=-1Ti", "2Ti", "1Ti"),
        ("gold.storageclass.storage.k8s.io/requests.storage=+1Gi", "1Gi", "2Gi"),
        ("gold.storageclass.storage.k8s.io/persistentvolumeclaims=+1", "1023", "1024"),
        ("requests.nvidia.com/gpu=+1", "3", "4"),
        ("count/jobs.batch=0", "3", "0"),
    ],
)
def test_an_amount_is_itself_or_a_change_of_what_there_is(wish: str, now: str, after: str) -> None:
    (parsed,) = parse_wishes([wish])
    assert parsed.on(now) == after


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pods"], "'pods' is not KEY=AMOUNT"),
        (["pods=5Gi"], "'5Gi' is no amount of pods; it counts whole things"),
        (["pods=1.5"], "'1.5' is no amount of pods"),
        (["requests.cpu=2Gi"], "'2Gi' is no amount of requests.cpu"),
        (["requests.memory=64"], "wants their unit"),
        (["limits.memory=500m"], "'500m' is no amount of limits.memory"),
        (["pods=50%"], "a percentage is a change"),
        (["pods=many"], "'many' is no amount"),
        (["pods=5", "pods=6"], "pods was named twice"),
        (["pods=-11", "--force"], "would leave less than nothing of 10"),
        (["limits.cpu=8"], "quota tenant has no key limits.cpu in team-a"),
        (["pods=3"], "pods=3 is under what is used now, 4 of quota tenant"),
        (["pods=20", "--name", "other"], "team-a has no ResourceQuota other"),
        (["pods=20", "--timeout", "soon"], "--timeout: 'soon' is no duration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_wish_is_refused_by_name_and_nothing_is_written(words: list[str], said: str) -> None:
    gw = gw_with(quota())
    answer = gw(*ADJUST, *words, "--yes")
    assert answer.code == 2, answer
    assert said in answer.err
    assert gw.cluster.patched == []


def test_a_key_that_counts_no_worker_is_adjusted_and_said_to_be_one() -> None:
    gw = gw_with(quota("storage", used={"services": "1"}, hard={"services": "5"}))
    answer = gw(*ADJUST, "services=6", "--yes")
    assert answer.code == 0, answer
    assert "No runner group's worker is counted in it." in answer.out


def test_a_server_in_trouble_while_the_worker_is_tried_leaves_gw_blind() -> None:
    gw = gw_with(quota())
    gw.cluster.refusals["create", "pods"] = errors.ServerError("etcd is away", status=500)
    answer = gw(*ADJUST, "pods=20", "--yes")
    assert answer.code == 3
    assert "could not try the next worker of team-a-cpu: etcd is away" in answer.err
    assert hard_of(gw)["pods"] == "20"


# -- which object


def test_the_quota_that_has_the_key_is_found_among_several() -> None:
    gw = gw_with(quota(), quota("storage", used={"requests.storage": "0"}, hard={"requests.storage": "1Ti"}))
    answer = gw(*ADJUST, "requests.storage=2Ti", "pods=20", "--yes")
    assert answer.code == 0, answer
    assert hard_of(gw, "storage") == {"requests.storage": "2Ti"}
    assert hard_of(gw)["pods"] == "20"


def test_a_key_of_several_quotas_is_refused_until_one_is_named() -> None:
    gw = gw_with(quota(), quota("second"))
    answer = gw(*ADJUST, "pods=20", "--yes")
    assert answer.code == 2
    assert "pods is bounded by several quotas: second, tenant" in answer.err
    assert "--name" in answer.err
    assert gw(*ADJUST, "pods=20", "--name", "second", "--yes").code == 0
    assert (hard_of(gw)["pods"], hard_of(gw, "second")["pods"]) == ("10", "20")


def test_without_any_quota_there_is_nothing_to_adjust() -> None:
    answer = gw_with()(*ADJUST, "pods=20", "--yes")
    assert answer.code == 2
    assert "has no ResourceQuota" in answer.err


def test_what_flux_keeps_is_printed_for_git_and_not_written() -> None:
    gw = gw_with(quota(metadata={"labels": {"kustomize.toolkit.fluxcd.io/name": "tenants"}}))
    answer = gw(*ADJUST, "pods=+10", "--yes")
    assert answer.code == 2
    assert "Flux (Kustomization tenants) keeps this" in answer.err
    assert "pods: '20'" in answer.out
    assert gw.cluster.patched == []


# -- writing and its proof


def test_an_adjusted_quota_is_proven_by_the_next_workers() -> None:
    gw = gw_with(quota())
    answer = gw(*ADJUST, "pods=+10", "requests.memory=32Gi", "--yes")
    assert answer.code == 0, answer
    check_golden("quota-adjust.table.txt", f"{answer.err}{answer.out}")
    assert hard_of(gw) == {"pods": "20", "requests.cpu": "8", "requests.memory": "32Gi"}
    assert gw.cluster.patched == ["ResourceQuota tenant"]
    assert gw.cluster.rehearsed.count("Pod gw-quota-proof-1") == 2
    assert gw.cluster.created == []


def test_the_same_amount_again_changes_nothing_and_is_proven_again() -> None:
    gw = gw_with(quota())
    assert gw(*ADJUST, "pods=20", "--yes").code == 0
    answer = gw(*ADJUST, "pods=20", "-o", "json")
    assert answer.code == 0, answer
    found = json.loads(answer.out)
    assert (found["changed"], found["stands"], found["kind"]) == (False, True, "AdjustedQuota")
    assert [each["admitted"] for each in found["next_workers"]] == [True, True]
    assert gw.cluster.patched == ["ResourceQuota tenant"]


def test_a_dry_run_shows_the_plan_and_writes_nothing() -> None:
    gw = gw_with(quota())
    answer = gw(*ADJUST, "pods=20", "--dry-run")
    assert answer.code == 0, answer
    assert "~ spec.hard.pods: 10 -> 20" in answer.err
    assert "Dry run: 1 object would be written for team-a, none was." in answer.out
    assert hard_of(gw)["pods"] == "10"


def test_export_prints_what_belongs_into_git() -> None:
    gw = gw_with(quota())
    answer = gw(*ADJUST, "pods=20", "--export")
    assert answer.code == 0, answer
    assert "kind: ResourceQuota" in answer.out
    assert gw.cluster.patched == []


def test_going_under_use_by_force_says_what_it_means() -> None:
    gw = gw_with(quota())
    limited = "exceeded quota: tenant, requested: pods=1, used: pods=4, limited: pods=3"
    gw.cluster.refusals["create", "pods"] = errors.QuotaExceeded(f'pods "p" is forbidden: {limited}', status=403)
    answer = gw(*ADJUST, "pods=3", "--force", "--yes")
    assert answer.code == 0, answer
    assert "4 of pods are used: no pod that needs it starts until that is under 3" in answer.err
    assert "is not admitted: exceeded quota tenant, requested: pods=1, used: pods=4, limited: pods=3" in answer.out
    assert "no further worker fits" in answer.out


def test_admission_that_counts_with_the_old_amount_is_waited_for() -> None:
    gw = gw_with(quota(used={"pods": "10", "requests.cpu": "2", "requests.memory": "4Gi"}))
    old = "exceeded quota: tenant, requested: pods=1, used: pods=10, limited: pods=10"
    control = gw.clock.on_sleep

    def admission_follows() -> None:
        control()
        if gw.clock.slept_seconds > 3:
            gw.cluster.refusals.clear()

    gw.clock.on_sleep = admission_follows
    gw.cluster.refusals["create", "pods"] = errors.QuotaExceeded(f'pods "p" is forbidden: {old}', status=403)
    answer = gw(*ADJUST, "pods=12", "--yes")
    assert answer.code == 0, answer
    assert gw.clock.slept_seconds > 3
    assert answer.out.count("is admitted.") == 2


def test_admission_that_never_follows_times_out() -> None:
    gw = gw_with(quota())
    old = "exceeded quota: tenant, requested: pods=1, used: pods=10, limited: pods=10"
    gw.cluster.refusals["create", "pods"] = errors.QuotaExceeded(f'pods "p" is forbidden: {old}', status=403)
    answer = gw(*ADJUST, "pods=12", "--yes", "--timeout", "5s")
    assert answer.code == 5
    assert "admission still counts with the old amounts" in answer.err


def test_a_quota_controller_that_does_not_run_times_out() -> None:
    answer = gw_with(quota(), controller=False)(*ADJUST, "pods=12", "--yes", "--timeout", "5s")
    assert answer.code == 5
    assert "the quota controller has not taken pods=12 of quota tenant over" in answer.err


def test_a_relative_amount_is_never_advised_twice() -> None:
    answer = gw_with(quota(), controller=False)(*ADJUST, "pods=+2", "--yes", "--timeout", "5s")
    assert answer.code == 5
    assert "To go on from there: `gw quota adjust team-a pods=12`." in answer.err
    assert "ame command" not in answer.err


def test_who_may_not_create_pods_hears_that_the_next_worker_is_unproven() -> None:
    gw = gw_with(quota())
    gw.cluster.denied.add(("create", "pods"))
    answer = gw(*ADJUST, "pods=20", "--yes")
    assert answer.code == 0, answer
    assert "Unproven: that the next worker counts with it: you may not create pods in team-a" in answer.err
    assert "is admitted" not in answer.out + answer.err
    assert "Pod gw-quota-proof-1" not in gw.cluster.rehearsed


def test_a_worker_that_another_rule_refuses_is_unproven_with_its_words() -> None:
    gw = gw_with(quota())
    gw.cluster.refusals["create", "pods"] = errors.Forbidden("no PriorityClass critical was found", status=403)
    answer = gw(*ADJUST, "pods=20", "--yes")
    assert answer.code == 0
    assert "Unproven: that the next worker of team-a-cpu counts with it: no PriorityClass critical" in answer.err


def test_who_lacks_the_right_to_patch_is_told_before_anything_is_tried() -> None:
    gw = gw_with(quota())
    gw.cluster.denied.add(("patch", "resourcequotas"))
    answer = gw(*ADJUST, "pods=20", "--yes")
    assert answer.code == 2
    assert "you may not patch resourcequotas in team-a" in answer.err
    assert gw.cluster.rehearsed == []


def test_without_a_terminal_or_a_yes_nothing_is_written() -> None:
    gw = gw_with(quota())
    assert gw(*ADJUST, "pods=20").code == 2
    refused = gw(*ADJUST, "pods=20", answer="n\n")
    assert refused.code == 2
    assert "was not confirmed" in refused.err
    assert gw.cluster.patched == []
    assert gw(*ADJUST, "pods=20", answer="y\n").code == 0


def test_a_connection_lost_in_the_middle_says_so_and_the_same_command_goes_on() -> None:
    gw = gw_with(quota())
    control = gw.clock.on_sleep

    def cut() -> None:
        gw.cluster.refusals["get", "resourcequotas"] = errors.Unreachable("the API server gives no answer")

    gw.clock.on_sleep = cut
    lost = gw(*ADJUST, "pods=20", "--yes")
    assert lost.code == 3
    assert "changed   ResourceQuota tenant" in lost.err
    gw.cluster.refusals.clear()
    gw.clock.on_sleep = control
    assert gw(*ADJUST, "pods=20", "--yes").code == 0
    assert gw.cluster.patched == ["ResourceQuota tenant"]


def test_the_pod_that_proves_costs_what_the_worker_does() -> None:
    template = {
        "spec": {
            "priorityClassName": "critical",
            "nodeSelector": {"disk": "fast"},
            "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}],
            "initContainers": [{"name": "dind", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}],
            "containers": [
                {"name": "runner", "image": "x", "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}}},
                {"name": "db", "image": "y", "resources": {"requests": {"memory": "1Gi"}}},
            ],
        }
    }
    group = parse_group(runner_group(podTemplate=template))
    pod, outline = build_proof_pod(group, "team-a"), worker_outline(group.worker)
    assert footprint_of(pod) == footprint_of(dict(outline))
    assert all(each["image"] == "proof.invalid/worker" for each in pod["spec"]["containers"])
    assert "volumes" not in pod["spec"]
    assert str(pod["spec"]["activeDeadlineSeconds"]) == "43200"


def test_scopes_are_told_in_words() -> None:
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["a", "b"]}]}
    fact = parse_quota(quota(scopes=["NotTerminating"], scopeSelector=selector))
    assert fact.scopes == ("NotTerminating", "PriorityClass In a, b")


def test_no_amount_at_all_is_refused() -> None:
    with pytest.raises(Refused, match="no amount was named"):
        parse_wishes([])
