"""The roles against the code: rights cover every call that an agent's code spells, and stay as narrow as designed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions_gateway import agent
from actions_gateway.api.names import AGENT_CLUSTER_ROLE, RERUN_LEDGER, job_slot_name
from actions_gateway.installation.rights import build_agent_role, build_manager_role, rbac_manifests
from actions_gateway.kube import events, resources
from actions_gateway.kube.resources import Resource
from support.rights import Right, is_allowed

_VERBS = {
    "get": ("get",),
    "list": ("list",),
    "watch": ("watch",),
    "list_watch": ("list", "watch"),
    "create": ("create",),
    "update": ("update",),
    "patch": ("patch",),
    "apply": ("patch", "create"),
    "delete": ("delete",),
}
"""What a method of the client, or `list_watch`, asks of the API server."""

SLOT = job_slot_name(1)
NAMED = {resources.SECRETS: SLOT, resources.CONFIGMAPS: RERUN_LEDGER}
"""Resources of which the role gives single objects only, with one that the agent asks for."""
AGENT_SOURCES = [*sorted(Path(str(agent.__file__)).parent.rglob("*.py")), Path(str(events.__file__))]


def rights_in(path: Path) -> Iterator[Right]:
    """The rights behind every call in the file that names a resource."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and (resource := _resource(node)) is not None:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            sub = next((_text(word.value) for word in node.keywords if word.arg == "subresource"), "")
            for verb in _VERBS.get(called, ()):
                named = NAMED.get(resource, "") if verb != "create" else ""
                plural = f"{resource.plural}/{sub}" if sub else resource.plural
                yield Right(verb, resource.group, plural, named)


def _resource(call: ast.Call) -> Resource | None:
    for argument in call.args[:2]:
        name = argument.id if isinstance(argument, ast.Name) else getattr(argument, "attr", "")
        found = getattr(resources, name, None) if name.isupper() else None
        if isinstance(found, Resource):
            return found
    return None


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def used_by_agent() -> set[Right]:
    return {right for path in AGENT_SOURCES for right in rights_in(path)}


def test_the_agents_role_covers_every_call_that_its_code_spells() -> None:
    rules = build_agent_role()["rules"]
    assert [right for right in sorted(used_by_agent()) if not is_allowed(right, rules)] == []


def test_the_scan_sees_the_calls_that_it_is_there_for() -> None:
    seen = used_by_agent()
    assert Right("create", "", "pods") in seen
    assert Right("patch", "", "secrets", SLOT) in seen
    assert Right("patch", "actions-gateway.github.com", "runnergroups/status") in seen
    assert Right("watch", "actions-gateway.github.com", "runnergroups") in seen


@pytest.mark.parametrize("verb", ["get", "patch", "delete"])
def test_an_agent_reaches_the_job_slots_by_name_and_no_other_secret(verb: str) -> None:
    rules = build_agent_role()["rules"]
    for slot in (1, 512, 1024):
        assert is_allowed(Right(verb, "", "secrets", job_slot_name(slot)), rules)
    for name in ("job-0000", "job-1025", "github-app-v1", ""):
        assert not is_allowed(Right(verb, "", "secrets", name), rules)


@pytest.mark.parametrize("verb", ["list", "watch", "update", "deletecollection"])
def test_an_agent_never_lists_watches_or_replaces_secrets(verb: str) -> None:
    assert not is_allowed(Right(verb, "", "secrets", SLOT), build_agent_role()["rules"])


def test_an_agent_reaches_its_ledger_and_no_other_configmap() -> None:
    rules = build_agent_role()["rules"]
    for verb in ("get", "patch"):
        assert is_allowed(Right(verb, "", "configmaps", RERUN_LEDGER), rules)
        assert not is_allowed(Right(verb, "", "configmaps", "kube-root-ca.crt"), rules)
    assert not any(is_allowed(Right(verb, "", "configmaps"), rules) for verb in ("list", "watch", "deletecollection"))


def test_an_agent_watches_quotas_and_never_writes_one() -> None:
    rules = build_agent_role()["rules"]
    assert all(is_allowed(Right(verb, "", "resourcequotas"), rules) for verb in ("list", "watch"))
    for verb in ("create", "update", "patch", "delete"):
        assert not is_allowed(Right(verb, "", "resourcequotas", "team"), rules)
        assert not is_allowed(Right(verb, "", "limitranges", "team"), rules)


def test_the_manager_has_no_right_on_secrets_and_may_bind_one_role_only() -> None:
    rules = build_manager_role()["rules"]
    assert all("secrets" not in rule["resources"] for rule in rules)
    (bind,) = [rule for rule in rules if "bind" in rule["verbs"]]
    assert bind["resourceNames"] == [AGENT_CLUSTER_ROLE]


def test_no_role_uses_a_wildcard_or_escalates() -> None:
    for role in rbac_manifests():
        for rule in role.get("rules", []):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"escalate", "impersonate"} & set(rule["verbs"])


def test_only_the_leader_role_names_leases_and_only_its_own() -> None:
    naming = [
        (role["kind"], rule)
        for role in rbac_manifests()
        for rule in role.get("rules", [])
        if "leases" in rule["resources"]
    ]
    assert {kind for kind, _ in naming} == {"Role"}
    assert [rule["resourceNames"] for _, rule in naming if rule["verbs"] != ["create"]] == [
        ["actions-gateway-gmc-leader"]
    ]
