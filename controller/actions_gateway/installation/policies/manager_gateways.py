"""What the manager may write on ActionsGateways: its own finalizer, and the status, which is a resource of its own.

A gateway's spec is the tenant's, and its annotations are people's: one stops the gateway, one lets a security profile
fall. A manager that somebody else has taken over changes neither.
"""

from actions_gateway.api.names import API_GROUP, GATEWAY_FINALIZER, MANAGER_GATEWAY_POLICY
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Policy, forbid_here, resource_rule

_STAYING = ("spec", "metadata.?labels", "metadata.?annotations", "metadata.?ownerReferences")


def build_manager_gateway_policy() -> Policy:
    """The manager's writes to ActionsGateways."""
    return Policy(
        name=MANAGER_GATEWAY_POLICY,
        rules=[resource_rule(API_GROUP, ["actionsgateways"], ["CREATE", "UPDATE", "DELETE"])],
        conditions={"is-the-manager": cel.IS_MANAGER},
        variables={"new": _other_finalizers("object"), "old": _other_finalizers("oldObject")},
        checks=[
            forbid_here("request.operation == 'UPDATE'", "the manager neither creates nor deletes gateways"),
            forbid_here(
                " && ".join(f"dyn(object).?{field} == dyn(oldObject).?{field}" for field in _STAYING)
                + " && variables.new == variables.old",
                f"of a gateway the manager changes the finalizer {GATEWAY_FINALIZER} alone, and the status",
            ),
        ],
    )


def _other_finalizers(subject: str) -> str:
    return (
        f"{subject} == null ? [] : "
        f"dyn({subject}).metadata.?finalizers.orValue([]).filter(f, f != {cel.text(GATEWAY_FINALIZER)})"
    )
