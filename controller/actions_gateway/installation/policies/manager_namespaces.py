"""What the manager may write on namespaces: the tenant marker and the Pod Security labels, and nothing else.

A manager that somebody else has taken over may still mark a namespace that is nobody's, where the platform lets it mark
any; what it may put there then, its children's own policy says.
"""

from actions_gateway.api import labels
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import MANAGER_NAMESPACE_POLICY, RESERVED_NAMESPACES
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, forbid_here, resource_rule
from actions_gateway.settings import TenantNamespaces

_OURS = f"(k == {cel.text(labels.TENANT)} || k.startsWith({cel.text(labels.POD_SECURITY)}))"
_MARK = f"optional.of('{labels.TENANT_MARK}')"
_KEY = cel.text(labels.TENANT)
_LEVELS = tuple(f"{labels.POD_SECURITY}{mode}" for mode in ("enforce", "warn", "audit"))


def build_manager_namespace_policy(tenant_namespaces: TenantNamespaces) -> Policy:
    """The manager's writes to Namespaces."""
    return Policy(
        name=MANAGER_NAMESPACE_POLICY,
        rules=[resource_rule("", ["namespaces"], ["CREATE", "UPDATE", "DELETE"])],
        conditions={"is-the-manager": cel.IS_MANAGER},
        variables={"new": cel.labels_of("object"), "old": cel.labels_of("oldObject")},
        checks=[
            forbid_here("request.operation == 'UPDATE'", "the manager neither creates nor deletes namespaces"),
            forbid_here(
                f"!(request.name in {cel.texts(sorted(RESERVED_NAMESPACES))})",
                "the manager does not change system namespaces",
            ),
            _other_labels(),
            _marker(tenant_namespaces),
            *_levels(),
            *(
                forbid_here(f"dyn(object).?{field} == dyn(oldObject).?{field}", f"the manager does not change {named}")
                for field, named in (
                    ("spec", "a namespace's spec"),
                    ("metadata.?annotations", "a namespace's annotations"),
                    ("metadata.?finalizers", "a namespace's finalizers"),
                    ("metadata.?ownerReferences", "a namespace's ownerReferences"),
                )
            ),
        ],
    )


def _other_labels() -> Check:
    """In both directions: nothing else added or changed, nothing else taken away."""
    kept = "variables.new.all(k, {ours} || variables.old[?k] == variables.new[?k])"
    back = "variables.old.all(k, {ours} || k in variables.new)"
    return forbid_here(
        f"{kept.format(ours=_OURS)} && {back.format(ours=_OURS)}",
        f"of a namespace's labels the manager changes only {labels.TENANT} and {labels.POD_SECURITY}*",
    )


def _marker(tenant_namespaces: TenantNamespaces) -> Check:
    """It may set the marker where there is none; a platform's own value, in either mode, is not its to change."""
    is_free = f"!({_KEY} in variables.old) && " if tenant_namespaces is TenantNamespaces.ANY else "false && "
    return forbid_here(
        f"variables.new[?{_KEY}] == variables.old[?{_KEY}] || ({is_free}variables.new[?{_KEY}] == {_MARK})",
        f"the label {labels.TENANT} of this namespace is the platform's to change",
    )


def _levels() -> list[Check]:
    privileged = f"optional.of('{SecurityProfile.PRIVILEGED.value}')"
    permission = f"variables.new[?{cel.text(labels.PRIVILEGED_PROFILE)}] == optional.of('{labels.PRIVILEGED_ALLOWED}')"
    levels = cel.texts(_LEVELS)
    return [
        forbid_here(
            f"{permission} || {levels}.all(k, variables.new[?k] != {privileged} || variables.old[?k] == {privileged})",
            f"the Pod Security level privileged needs the platform's label "
            f"{labels.PRIVILEGED_PROFILE}={labels.PRIVILEGED_ALLOWED}",
        ),
        forbid_here(
            f"variables.old.all(k, !k.startsWith({cel.text(labels.POD_SECURITY)}) || k in variables.new)",
            "the manager takes no Pod Security label away",
        ),
    ]
