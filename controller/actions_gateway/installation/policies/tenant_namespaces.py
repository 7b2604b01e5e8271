"""How the Pod Security level of a tenant's namespace may change, for everybody but the manager.

A namespace without the tenant marker, or without a level, has the lowest rank. So taking the marker off counts as
lowering, and the way around the rule in two steps (unmark, lower, mark again) asks for the same annotation as lowering
in one. The manager follows the gateway's own profile, whose changes have their own policy.
"""

from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import TENANT_NAMESPACE_POLICY
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, Reason, resource_rule
from actions_gateway.installation.policies.security_profiles import MAY_FALL, RANKS

_PRIVILEGED = f"optional.of('{SecurityProfile.PRIVILEGED.value}')"


def build_tenant_namespace_policy() -> Policy:
    """Matches on the marker before or after the change."""
    return Policy(
        name=TENANT_NAMESPACE_POLICY,
        rules=[resource_rule("", ["namespaces"], ["CREATE", "UPDATE"])],
        conditions={"is-staying": cel.IS_STAYING, "is-not-the-manager": f"!({cel.IS_MANAGER})"},
        object_selector={"matchLabels": {labels.TENANT: labels.TENANT_MARK}},
        variables={
            "new": _level("object"),
            "old": _level("oldObject"),
            "newRank": f"{RANKS}[?variables.new.orValue('')].orValue(0)",
            "oldRank": f"{RANKS}[?variables.old.orValue('')].orValue(0)",
        },
        checks=[_eligible(), _falls_on_purpose()],
    )


def _level(subject: str) -> str:
    """The enforced level as an optional, none where the namespace is no tenant's."""
    found = cel.labels_of(subject)
    is_marked = f"{found}[?{cel.text(labels.TENANT)}] == optional.of('{labels.TENANT_MARK}')"
    return f"{is_marked} ? {found}[?{cel.text(labels.POD_SECURITY_ENFORCE)}] : optional.none()"


def _eligible() -> Check:
    permission = f"{cel.labels_of('object')}[?{cel.text(labels.PRIVILEGED_PROFILE)}]"
    says = (
        f"metadata.labels: {labels.POD_SECURITY_ENFORCE}=privileged in a tenant's namespace needs the label "
        f"{labels.PRIVILEGED_PROFILE}={labels.PRIVILEGED_ALLOWED} beside it"
    )
    return Check(
        f"variables.new != {_PRIVILEGED} || variables.old == {_PRIVILEGED} || "
        f"{permission} == optional.of('{labels.PRIVILEGED_ALLOWED}')",
        cel.text(says),
        says,
        Reason.FORBIDDEN,
    )


def _falls_on_purpose() -> Check:
    says = (
        f"metadata.labels: this lowers the Pod Security level {labels.POD_SECURITY_ENFORCE} of a tenant's namespace "
        f"(taking away {labels.TENANT} counts as lowering); set the annotation "
        f'{labels.ALLOW_DOWNGRADE}: "true" on the namespace to do it on purpose'
    )
    return Check(f"variables.newRank >= variables.oldRank || {MAY_FALL}", cel.text(says), says, Reason.FORBIDDEN)
