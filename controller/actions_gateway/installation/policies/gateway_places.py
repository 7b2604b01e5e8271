"""Where gateways may be: never in a namespace of the system or of the manager itself."""

from actions_gateway.api.names import API_GROUP, GATEWAY_PLACE_POLICY, RESERVED_NAMESPACES
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, resource_rule

IS_RESERVED = f"request.namespace in {cel.texts(sorted(RESERVED_NAMESPACES))}"


def build_gateway_place_policy() -> Policy:
    """Refuses the creation of our objects in reserved namespaces; what is there already may still change and go."""
    advice = "is a system namespace, where no gateway is served; create it in a namespace of the tenant"
    return Policy(
        name=GATEWAY_PLACE_POLICY,
        rules=[resource_rule(API_GROUP, ["actionsgateways", "runnergroups"], ["CREATE"])],
        conditions={},
        variables={},
        checks=[
            Check(
                f"!({IS_RESERVED})",
                f"'metadata.namespace: ' + request.namespace + {cel.text(' ' + advice)}",
                f"metadata.namespace: this {advice}",
            )
        ],
    )
