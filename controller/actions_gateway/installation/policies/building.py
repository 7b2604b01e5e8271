"""The shape of a policy and its binding (admissionregistration.k8s.io/v1, Kubernetes documentation, "Validating
Admission Policy").

A policy fails closed. It is bound once, under its own name, with the action Deny.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from actions_gateway.installation.metadata import Manifest, metadata
from actions_gateway.installation.policies import cel

_API_VERSION = "admissionregistration.k8s.io/v1"


class Reason(StrEnum):
    """Which HTTP status a denial has."""

    INVALID = "Invalid"
    """422: the object is at fault, whoever sends it."""
    FORBIDDEN = "Forbidden"
    """403: the caller may not do this."""


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold, and what its violator reads: a CEL text expression, and a plain text should that one fail."""

    expression: str
    says: str
    otherwise: str
    reason: Reason = Reason.INVALID

    def render(self) -> dict[str, str]:
        """The entry of `validations`."""
        return {
            "expression": self.expression,
            "messageExpression": self.says,
            "message": self.otherwise,
            "reason": self.reason.value,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; `conditions` (all must hold) and `variables` are CEL by name."""

    name: str
    rules: list[Manifest]
    conditions: dict[str, str]
    checks: list[Check]
    variables: dict[str, str]
    object_selector: Manifest | None = None
    """Matches on the object before or after the change."""

    def render(self) -> list[Manifest]:
        """The policy and its binding."""
        constraints: dict[str, Any] = {"resourceRules": self.rules, "matchPolicy": "Equivalent"}
        if self.object_selector:
            constraints["objectSelector"] = self.object_selector
        policy = self._object("ValidatingAdmissionPolicy") | {
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": constraints,
                "matchConditions": _named(self.conditions),
                "variables": _named(self.variables),
                "validations": [check.render() for check in self.checks],
            }
        }
        binding = self._object("ValidatingAdmissionPolicyBinding") | {
            "spec": {"policyName": self.name, "validationActions": ["Deny"]}
        }
        return [policy, binding]

    def _object(self, kind: str) -> Manifest:
        return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata(self.name, namespaced=False)}


def forbid_here(expression: str, says: str) -> Check:
    """What the caller may not do in the request's namespace, which the message names."""
    return Check(expression, f"{cel.text(says + ' (namespace ')} + request.namespace + ')'", says, Reason.FORBIDDEN)


def resource_rule(
    group: str, resources: list[str], operations: list[str], *, names: list[str] | None = None
) -> Manifest:
    """Which requests a policy looks at; subresources are named apart and so left out here."""
    built: Manifest = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": operations,
        "resources": resources,
        "scope": "*",
    }
    return built | ({"resourceNames": names} if names else {})


def _named(expressions: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "expression": expression} for name, expression in expressions.items()]
