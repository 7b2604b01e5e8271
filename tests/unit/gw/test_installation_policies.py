"""Whether a policy that was emptied is told from one that is whole."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from actions_gateway.installation.policies.catalog import policy_manifests
from gw.sources.policies import PolicyFact, compare_policy

Manifest = dict[str, Any]

POLICY, BINDING = next(
    (policy, binding)
    for policy, binding in zip(policy_manifests()[::2], policy_manifests()[1::2], strict=True)
    if "objectSelector" in policy["spec"]["matchConstraints"]
)
NAME = POLICY["metadata"]["name"]


def compare(change: Callable[[Manifest, Manifest], Any]) -> PolicyFact:
    """The facts of a policy and its binding as the server stores them, with a change to their specifications."""
    policy, binding = copy.deepcopy(POLICY), copy.deepcopy(BINDING)
    # Defaults of the server: Kubernetes API reference, admissionregistration.k8s.io/v1.
    policy["spec"]["matchConstraints"].setdefault("namespaceSelector", {})
    change(policy["spec"], binding["spec"])
    return compare_policy(POLICY, policy, [(BINDING, binding)])


def test_what_the_server_adds_is_no_change() -> None:
    whole = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
    assert compare(lambda policy, binding: binding.update(matchResources=whole)) == PolicyFact(NAME)


def _narrow_rule(policy: Manifest, _: Manifest) -> None:
    policy["matchConstraints"]["resourceRules"][0]["operations"] = ["CREATE"]


GUTTED: list[tuple[str, Callable[[Manifest, Manifest], Any], PolicyFact]] = [
    (
        "a variable is always the same",
        lambda policy, _: policy["variables"][0].update(expression="''"),
        PolicyFact(NAME, changed_fields=("spec.variables",)),
    ),
    ("a rule looks at less", _narrow_rule, PolicyFact(NAME, changed_fields=("spec.matchConstraints",))),
    (
        "other objects are selected",
        lambda policy, _: policy["matchConstraints"].update(objectSelector={"matchLabels": {"no": "such"}}),
        PolicyFact(NAME, changed_fields=("spec.matchConstraints",)),
    ),
    (
        "matching is exact",
        lambda policy, _: policy["matchConstraints"].update(matchPolicy="Exact"),
        PolicyFact(NAME, changed_fields=("spec.matchConstraints",)),
    ),
    (
        "some are excluded",
        lambda policy, _: policy["matchConstraints"].update(excludeResourceRules=[{"resources": ["*"]}]),
        PolicyFact(NAME, changed_fields=("spec.matchConstraints",)),
    ),
    (
        "a condition is never met",
        lambda policy, _: policy["matchConditions"].append({"name": "never", "expression": "false"}),
        PolicyFact(NAME, changed_fields=("spec.matchConditions",)),
    ),
    (
        "it fails open",
        lambda policy, _: policy.update(failurePolicy="Ignore"),
        PolicyFact(NAME, changed_fields=("spec.failurePolicy",)),
    ),
    (
        "a check is always met",
        lambda policy, _: policy["validations"][0].update(expression="true"),
        PolicyFact(NAME, changed_fields=("spec.validations",)),
    ),
    (
        "it takes parameters",
        lambda policy, _: policy.update(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}),
        PolicyFact(NAME, changed_fields=("spec.paramKind",)),
    ),
    (
        "its binding binds another",
        lambda _, binding: binding.update(policyName="other"),
        PolicyFact(NAME, missing_bindings=(BINDING["metadata"]["name"],)),
    ),
    (
        "its binding only audits",
        lambda _, binding: binding.update(validationActions=["Audit"]),
        PolicyFact(NAME, missing_actions=("Deny",)),
    ),
    (
        "its binding looks at few",
        lambda _, binding: binding.update(matchResources={"objectSelector": {"matchLabels": {"no": "such"}}}),
        PolicyFact(NAME, changed_fields=("binding.spec.matchResources",)),
    ),
    (
        "its binding looks at few namespaces",
        lambda _, binding: binding.update(matchResources={"namespaceSelector": {"matchLabels": {"no": "such"}}}),
        PolicyFact(NAME, changed_fields=("binding.spec.matchResources",)),
    ),
    (
        "its binding takes parameters",
        lambda _, binding: binding.update(paramRef={"name": "x", "parameterNotFoundAction": "Allow"}),
        PolicyFact(NAME, changed_fields=("binding.spec.paramRef",)),
    ),
]


@pytest.mark.parametrize(("change", "fact"), [pytest.param(*case[1:], id=case[0]) for case in GUTTED])
def test_a_policy_that_was_gutted_is_told_with_the_field(
    change: Callable[[Manifest, Manifest], Any], fact: PolicyFact
) -> None:
    assert compare(change) == fact
