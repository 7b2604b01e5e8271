"""What an agent may write beyond its rights' reach: RBAC names verbs and names, not what is inside.

Whoever may create pods can mount any Secret of the namespace, and whoever may create Secrets can have a token minted
for any ServiceAccount; a ConfigMap of a name that others read tells them what to do. So an agent creates Opaque Secrets
in job slots, pods of workers and the one ConfigMap of its ledger, and changes and deletes only what is an agent's.
"""

from actions_gateway.api import labels
from actions_gateway.api.names import (
    AGENT,
    AGENT_CONFIGMAP_POLICY,
    AGENT_POD_POLICY,
    AGENT_SECRET_POLICY,
    JOB_SLOTS,
    RERUN_LEDGER,
    WORKER,
    job_slot_name,
)
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, Reason, resource_rule
from actions_gateway.installation.policies.pod_rules import (
    CREDENTIAL_RULE,
    HOST_RULES,
    NAMESPACE_MAY_BE_PRIVILEGED,
    PRIVILEGED_RULE,
    SCHEDULING_RULES,
    PodRule,
)

_OPERATIONS = ["CREATE", "UPDATE", "DELETE"]
_IS_AGENT = (
    f"request.userInfo.username.startsWith('system:serviceaccount:') && request.userInfo.username.endsWith(':{AGENT}')"
)
_BY_AGENT = f"[?{cel.text(labels.MANAGED_BY)}] == optional.of('{labels.BY_AGENT}')"
_IS_CHANGE = "request.operation == 'UPDATE'"
_IS_CREATION = "request.operation == 'CREATE'"
_IS_SELECTED_BY = f"k == '{labels.APP}' || {cel.OUR_KEY}"

POD_LABELS = (
    labels.MANAGED_BY,
    labels.RUNNER_GROUP,
    labels.COMPONENT,
    labels.APP_NAME,
    labels.APP_INSTANCE,
    labels.APP_COMPONENT,
    labels.APP_PART_OF,
)
"""Those that the agent sets. Our NetworkPolicies select by labels: one more of ours could open what another pod may
reach. Labels of others are free, since a cluster's webhooks add theirs to every pod."""


def build_agent_secret_policy() -> Policy:
    """Secrets of agents."""
    return Policy(
        name=AGENT_SECRET_POLICY,
        rules=[resource_rule("", ["secrets"], _OPERATIONS)],
        conditions={"is-an-agent": _IS_AGENT},
        variables={"new": cel.labels_of("object"), "old": cel.labels_of("oldObject")},
        checks=[
            _forbid(
                f"object == null || {_is_slot('object.metadata.name')}",
                f"metadata.name: an agent's Secrets are named {job_slot_name(1)} to {job_slot_name(JOB_SLOTS)}",
            ),
            _forbid("object == null || object.type == 'Opaque'", "type: an agent's Secrets are Opaque"),
            _marked("Secrets"),
            _only_its_own("Secrets"),
        ],
    )


def build_agent_configmap_policy() -> Policy:
    """ConfigMaps of agents: the ledger of reruns."""
    return Policy(
        name=AGENT_CONFIGMAP_POLICY,
        rules=[resource_rule("", ["configmaps"], _OPERATIONS)],
        conditions={"is-an-agent": _IS_AGENT},
        variables={"new": cel.labels_of("object"), "old": cel.labels_of("oldObject")},
        checks=[
            _forbid(
                f"object == null || object.metadata.name == '{RERUN_LEDGER}'",
                f"metadata.name: an agent's only ConfigMap is {RERUN_LEDGER}",
            ),
            _marked("ConfigMaps"),
            _only_its_own("ConfigMaps"),
        ],
    )


def build_agent_pod_policy() -> Policy:
    """Pods of agents."""
    rules = [_pod_check(rule) for rule in (*HOST_RULES, *SCHEDULING_RULES, CREDENTIAL_RULE)]
    return Policy(
        name=AGENT_POD_POLICY,
        rules=[resource_rule("", ["pods"], _OPERATIONS)],
        conditions={"is-an-agent": _IS_AGENT},
        variables={"new": cel.labels_of("object"), "old": cel.labels_of("oldObject")},
        checks=[
            _forbid(
                f"!({_IS_CREATION}) || object.spec.serviceAccountName == '{WORKER}'",
                f"spec.serviceAccountName: an agent's pods run as {WORKER}",
            ),
            _forbid(
                f"!({_IS_CREATION}) || dyn(object).spec.?automountServiceAccountToken.orValue(true) == false",
                "spec.automountServiceAccountToken: an agent's pods get no token of the Kubernetes API; set false",
            ),
            _marked("pods"),
            *_worker_labels(),
            *rules,
            _pod_check(PRIVILEGED_RULE, unless=NAMESPACE_MAY_BE_PRIVILEGED),
            _only_its_own("pods"),
            _only_notices(),
        ],
    )


def _is_slot(name: str) -> str:
    number = f"int({name}.substring(4))"
    return f"({name}.matches('^job-[0-9]{{4}}$') && {number} >= 1 && {number} <= {JOB_SLOTS})"


def _marked(kind: str) -> Check:
    return _forbid(
        f"object == null || variables.new{_BY_AGENT}",
        f"metadata.labels: an agent's {kind} carry {labels.MANAGED_BY}={labels.BY_AGENT}",
    )


def _only_its_own(kind: str) -> Check:
    return _forbid(
        f"oldObject == null || variables.old{_BY_AGENT}",
        f"an agent changes and deletes only {kind} with the label {labels.MANAGED_BY}={labels.BY_AGENT}",
    )


def _worker_labels() -> list[Check]:
    """Those that the workload's NetworkPolicy selects by, and no others."""
    return [
        _forbid(
            f"!({_IS_CREATION}) || variables.new[?{cel.text(labels.COMPONENT)}] == optional.of('{labels.WORKLOAD}')",
            f"metadata.labels: an agent's pods carry {labels.COMPONENT}={labels.WORKLOAD}",
        ),
        _forbid(
            f"!({_IS_CREATION}) || variables.new.all(k, k in {cel.texts(POD_LABELS)} || !({_IS_SELECTED_BY}))",
            f"metadata.labels: an agent's pods have no label {labels.APP} and of ours none but {', '.join(POD_LABELS)}",
        ),
    ]


def _pod_check(rule: PodRule, *, unless: str = "false") -> Check:
    broken = f"[dyn(object).spec].exists(s, {rule.is_broken})"
    return _forbid(f"!({_IS_CREATION}) || {unless} || !({broken})", f"spec.{rule.field}: {rule.advice}")


def _only_notices() -> Check:
    """The changes to a pod that an agent makes: a cancellation for its worker, and why it is deleted."""
    notices = cel.texts((labels.CANCELLATION, labels.DELETION_REASON))
    new, old = cel.annotations_of("object"), cel.annotations_of("oldObject")
    parts = ("spec", "metadata.?labels", "metadata.?ownerReferences", "metadata.?finalizers")
    same = " && ".join(f"dyn(object).?{part} == dyn(oldObject).?{part}" for part in parts)
    annotations = (
        f"{new}.all(k, k in {notices} || {old}[?k] == {new}[?k]) && {old}.all(k, k in {notices} || k in {new})"
    )
    return _forbid(
        f"!({_IS_CHANGE}) || ({same} && {annotations})",
        f"an agent changes nothing of a pod but its annotations {labels.CANCELLATION} and {labels.DELETION_REASON}",
    )


def _forbid(expression: str, says: str) -> Check:
    return Check(expression, cel.text(says), says, Reason.FORBIDDEN)
