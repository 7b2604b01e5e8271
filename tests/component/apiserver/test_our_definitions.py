"""Our own custom resource definitions: schema and defaults on both servers, every CEL rule on the real one."""

from collections.abc import Iterator
from typing import Any

import pytest

from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.api.names import MAX_NAME_LENGTH
from actions_gateway.api.runnergroup import RunnerGroupSpec
from support.apiserver import Api, Play
from support.manifests import CRDS, Json
from support.own_crds import GATEWAYS, GROUP, GROUPS, serve_ours

GATEWAYS_PATH = f"~{GROUP}/v1alpha1/actionsgateways"
GROUPS_PATH = f"~{GROUP}/v1alpha1/runnergroups"


def gateway(name: str = "ci", **spec: Any) -> Json:
    """A gateway with what is required of one."""
    required = {"gitHubAppRef": {"name": "app"}, "gitHubURL": "https://github.com/octo"}
    typed = {"apiVersion": GATEWAYS.api_version, "kind": GATEWAYS.kind}
    return typed | {"metadata": {"name": name}, "spec": required | spec}


def group(name: str = "ci-cpu", **spec: Any) -> Json:
    """A runner group with what is required of one."""
    typed = {"apiVersion": GROUPS.api_version, "kind": GROUPS.kind}
    return typed | {"metadata": {"name": name}, "spec": {"runnerLabels": ["linux"]} | spec}


def entry(name: str = "cpu", **fields: Any) -> Json:
    """One of a gateway's runner groups."""
    return {"name": name, "runnerLabels": ["linux"]} | fields


@pytest.mark.parametrize("crd", [gateway_crd(), runner_group_crd()], ids=lambda crd: str(crd["spec"]["names"]["kind"]))
def test_a_definition_is_accepted_as_it_stands(play: Play, crd: Json) -> None:
    """A real server also estimates what each CEL rule may cost and refuses one that is too dear."""

    async def scenario(api: Api) -> None:
        path = f"{CRDS}/{crd['metadata']['name']}"
        answer = await api.apply(path, crd, "test", force=True, dryRun="All")
        assert answer.status in (200, 201), answer.body
        assert answer.warnings == ()

    play(scenario)


def test_a_gateway_gets_the_defaults_of_its_model(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        created = await api.create(GATEWAYS_PATH, gateway(runnerGroups=[entry(podTemplate={"spec": {"any": [1]}})]))
        asked = gateway(runnerGroups=[entry(podTemplate={"spec": {"any": [1]}})])["spec"]
        filled = parse_gateway_spec("ci", asked).model_dump(by_alias=True, exclude_none=True, mode="json")
        # A list that a tenant leaves out stays out.
        assert created["spec"] == filled | {"proxy": {name: one for name, one in filled["proxy"].items() if one != []}}
        assert "status" not in created

    play(scenario)


def test_a_runner_group_gets_the_defaults_of_its_model(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        created = await api.create(GROUPS_PATH, group())
        filled = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"]})
        assert created["spec"] == filled.model_dump(by_alias=True, exclude_none=True, mode="json")

    play(scenario)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"gitHubURL": "http://github.com/octo"}, "spec.gitHubURL in body should match '^https://"),
        ({"gitHubAppRef": {}}, "spec.gitHubAppRef.name: Required value"),
        (
            {"runnerGroups": [entry(runnerLabels=[])]},
            "spec.runnerGroups[0].runnerLabels in body should have at least 1",
        ),
        ({"runnerGroups": [entry(maxListeners=0)]}, "spec.runnerGroups[0].maxListeners in body should be greater than"),
        (
            {"runnerGroups": [entry(quotaRetryDelay="soon")]},
            "spec.runnerGroups[0].quotaRetryDelay in body should match",
        ),
        ({"runnerGroups": [entry(), entry()]}, 'spec.runnerGroups[1]: Duplicate value: {"name":"cpu"}'),
        ({"runnerGroups": [entry("x" * 41)]}, "spec.runnerGroups[0].name: Too long: may not be more than 40 bytes"),
        (
            {"runnerGroups": [entry(f"g{number}") for number in range(33)]},
            "spec.runnerGroups: Too many: 33: must have at most 32 items",
        ),
        ({"securityProfile": "open"}, 'spec.securityProfile: Unsupported value: "open": supported values: "baseline"'),
        ({"logLevel": "loud"}, 'spec.logLevel: Unsupported value: "loud": supported values: "info", "debug"'),
        ({"proxy": {"maxReplicas": "ten"}}, 'spec.proxy.maxReplicas in body must be of type integer: "string"'),
        ({"proxy": {"noProxyCIDRs": ["everything"]}}, "spec.proxy.noProxyCIDRs[0] in body should match"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value).split(" ")[0],
)
def test_a_gateway_that_breaks_its_schema_is_refused(play: Play, spec: Json, message: str) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        answer = await api.post(GATEWAYS_PATH, gateway(**spec))
        assert answer.refusal == (422, "Invalid")
        assert message in answer.message

    play(scenario)


def test_fields_that_are_no_part_of_the_schema_are_dropped_with_a_warning(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await serve_ours(api)
        answer = await api.post(GATEWAYS_PATH, gateway(paws=4))
        assert "paws" not in answer.body["spec"]
        assert answer.warnings == ('299 - "unknown field \\"spec.paws\\""',)

    play(scenario)


# -- rules -----------------------------------------------------------------------------------------------------------


def tiers(*thresholds: int) -> list[Json]:
    return [{"priorityClassName": f"class-{number}", "threshold": number} for number in thresholds]


ASCEND = "priorityTiers must have strictly ascending thresholds"
WORKERS = "maxWorkers must equal the threshold of the last priority tier"
GROUP_CASES: list[tuple[str, str, Json, Json]] = [
    ("", ASCEND, {"priorityTiers": tiers(9, 5)}, {"priorityTiers": tiers(5, 9)}),
    ("", ASCEND, {"priorityTiers": tiers(5, 5)}, {"priorityTiers": tiers(5)}),
    ("", WORKERS, {"priorityTiers": tiers(5, 9), "maxWorkers": 8}, {"priorityTiers": tiers(5, 9), "maxWorkers": 9}),
    ("", WORKERS, {"priorityTiers": tiers(5), "maxWorkers": 6}, {"priorityTiers": [], "maxWorkers": 6}),
    *(
        (field, "must be at least 1s", {field: "999ms"}, {field: "1s"})
        for field in ("evictionRetryDelay", "quotaRetryDelay", "pendingPodDeadline")
    ),
    *(
        (field, "must be at least 0s", {field: "-1s"}, {field: "0s"})
        for field in ("completedPodTTL", "maxWorkerLifetime")
    ),
]
"""Field, message, what is denied, what is allowed: for a RunnerGroup and for the entries of a gateway alike."""

TOGETHER = f"the gateway's name and each runner group's name together have at most {MAX_NAME_LENGTH} characters"
Case = tuple[str, str, Json, Json]


def in_entry(field: str, message: str, denied: Json, allowed: Json) -> Case:
    path = "spec.runnerGroups[*]" + (f".{field}" if field else "")
    gateways = [gateway(runnerGroups=[entry("first"), entry(**case)]) for case in (denied, allowed)]
    return path, message, gateways[0], gateways[1]


def in_group(field: str, message: str, denied: Json, allowed: Json) -> Case:
    return "spec" + (f".{field}" if field else ""), message, group(**denied), group(**allowed)


GATEWAY_RULES: list[Case] = [
    (
        "",
        TOGETHER,
        gateway("g" * 30, runnerGroups=[entry("e" * 33)]),
        gateway("g" * 30, runnerGroups=[entry("e" * 32)]),
    ),
    (
        "",
        f"a gateway's name has at most {MAX_NAME_LENGTH} characters",
        gateway("g" * (MAX_NAME_LENGTH + 1)),
        gateway("g" * MAX_NAME_LENGTH),
    ),
    (
        "spec.proxy",
        "minReplicas must not exceed maxReplicas",
        gateway(proxy={"minReplicas": 3, "maxReplicas": 2}),
        gateway(proxy={"minReplicas": 2, "maxReplicas": 2}),
    ),
    (
        "spec.proxy",
        "minReplicas must not exceed maxReplicas",
        gateway(proxy={"maxReplicas": 1}),
        gateway(proxy={"minReplicas": 10}),
    ),
    *(in_entry(*case) for case in GROUP_CASES),
]
GROUP_RULES: list[Case] = [
    (
        "",
        f"a runner group's name has at most {MAX_NAME_LENGTH + 1} characters",
        group("g" * (MAX_NAME_LENGTH + 2)),
        group("g" * (MAX_NAME_LENGTH + 1)),
    ),
    *(in_group(*case) for case in GROUP_CASES),
]


def case_name(case: Case) -> str:
    return f"{case[2]['kind']} {case[0]}: {case[1]}"


@pytest.mark.real_only("the embedded server does not evaluate CEL; our components check the same themselves")
@pytest.mark.parametrize("case", [*GATEWAY_RULES, *GROUP_RULES], ids=case_name)
def test_a_rule_denies_and_allows(play: Play, case: Case) -> None:
    path, message, denied, allowed = case

    async def scenario(api: Api) -> None:
        await serve_ours(api)
        collection = GATEWAYS_PATH if denied["kind"] == GATEWAYS.kind else GROUPS_PATH
        answer = await api.post(collection, denied)
        assert answer.refusal == (422, "Invalid")
        causes = [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]]
        where = path.replace("[*]", "[1]") or "<nil>"
        assert any(field == where and text.endswith(message) for field, text in causes), causes
        accepted = await api.post(collection, allowed)
        assert accepted.status == 201, accepted.body

    play(scenario)


@pytest.mark.parametrize(
    ("crd", "cases"),
    [(gateway_crd(), GATEWAY_RULES), (runner_group_crd(), GROUP_RULES)],
    ids=[GATEWAYS.kind, GROUPS.kind],
)
def test_every_rule_of_a_definition_has_its_cases(crd: Json, cases: list[Case]) -> None:
    (version,) = crd["spec"]["versions"]
    rules = set(rules_of(version["schema"]["openAPIV3Schema"], ""))
    assert rules == {(path, message) for path, message, *_ in cases}


def rules_of(schema: Json, path: str) -> Iterator[tuple[str, str]]:
    """Path and message of every CEL rule below a schema position."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    for name, field in schema.get("properties", {}).items():
        yield from rules_of(field, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from rules_of(schema["items"], f"{path}[*]")
