"""Rights that no audit event tells of, since no request of their own asks for them."""

from actions_gateway.installation.rights import MANAGER_CHILDREN

ANSWERED_WITHOUT_A_REQUEST = {
    # An apply that creates is one PATCH and two rights.
    *(("create", group, plural) for group, plural in MANAGER_CHILDREN),
    # Asked for by admission: for a binding to a role, and for an owner reference that blocks the owner's deletion.
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("update", "actions-gateway.github.com", "actionsgateways/finalizers"),
}
"""Rights that no audit event tells of; `test_hidden_rights` proves each of them."""
ANSWERED_TO_AGENTS = ("update", "actions-gateway.github.com", "runnergroups/finalizers")
"""The agent's one such right, for the owner reference of what a job consists of."""
