"""How a gateway's security profile may change, and who may have the profile `privileged`.

The annotation is a safety catch that a tenant sets itself, not a boundary: deleting the gateway and creating another
one leads to the same place. The boundary is the namespace's label, which only the platform can set.
"""

from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import API_GROUP, SECURITY_PROFILE_POLICY
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, resource_rule
from actions_gateway.installation.policies.pod_rules import NAMESPACE_MAY_BE_PRIVILEGED

_STRICTNESS = (SecurityProfile.PRIVILEGED, SecurityProfile.BASELINE, SecurityProfile.RESTRICTED)
RANKS = "{" + ", ".join(f"'{profile.value}': {rank}" for rank, profile in enumerate(_STRICTNESS)) + "}"
"""Rank by profile; a higher one is stricter."""
MAY_FALL = f"{cel.annotations_of('object')}[?{cel.text(labels.ALLOW_DOWNGRADE)}] == optional.of('true')"

_DEFAULT = SecurityProfile.BASELINE.value
_PRIVILEGED = SecurityProfile.PRIVILEGED.value


def build_security_profile_policy() -> Policy:
    """Profiles of ActionsGateways; an absent one is the default."""
    old = f"(oldObject == null ? '{_PRIVILEGED}' : dyn(oldObject).spec.?securityProfile.orValue('{_DEFAULT}'))"
    return Policy(
        name=SECURITY_PROFILE_POLICY,
        rules=[resource_rule(API_GROUP, ["actionsgateways"], ["CREATE", "UPDATE"])],
        conditions={"is-staying": cel.IS_STAYING, "has-new-spec": cel.HAS_NEW_SPEC},
        variables={"new": f"dyn(object).spec.?securityProfile.orValue('{_DEFAULT}')", "old": old},
        checks=[_eligible(), _falls_on_purpose()],
    )


def _eligible() -> Check:
    label = f"{labels.PRIVILEGED_PROFILE}={labels.PRIVILEGED_ALLOWED}"
    start, command = "spec.securityProfile: privileged is not allowed in ", "a platform owner allows it with "
    advice = f"; choose baseline or restricted, or {command}'kubectl label namespace "
    return Check(
        f"variables.new != '{_PRIVILEGED}' || {NAMESPACE_MAY_BE_PRIVILEGED}",
        f"{cel.text(start + 'namespace ')} + request.namespace + {cel.text(advice)} + request.namespace + "
        + cel.text(f" {label}'"),
        f"{start}this namespace; the platform's label {label} allows it",
    )


def _falls_on_purpose() -> Check:
    annotation = f'{labels.ALLOW_DOWNGRADE}: "true"'
    advice = f" lowers it; keep it, or set the annotation {annotation} on the ActionsGateway to lower it on purpose"
    return Check(
        f"{RANKS}[variables.new] >= {RANKS}[variables.old] || {MAY_FALL}",
        "'spec.securityProfile: changing ' + variables.old + ' to ' + variables.new + " + cel.text(advice),
        f"spec.securityProfile: this{advice}",
    )
