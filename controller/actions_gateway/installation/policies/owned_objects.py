"""Who may change what the manager owns: the manager, the cluster's own controllers, and holders of the verb `override`.

Everybody else who may write the kind can restart a Deployment's pods and set annotations, and change nothing else: the
gateway is the place for it. That is what lets on-call people, tenants and holders of the built-in `edit` patch
RunnerGroups at all: an annotation asks for reruns (`labels.RERUN`). The cluster's controllers (garbage collection,
namespaces, Deployments) run as ServiceAccounts of kube-system, or all as one user where a cluster does not tell them
apart. `kubectl scale` is a subresource of its own and so free; the manager brings the count back.
"""

from actions_gateway.api import labels
from actions_gateway.api.names import (
    API_GROUP,
    MANAGER,
    MANAGER_DEPLOYMENT_POLICY,
    MANAGER_NAMESPACE,
    OVERRIDE_VERB,
    OWNED_OBJECT_POLICY,
)
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, Reason, resource_rule
from actions_gateway.installation.rights import MANAGER_CHILDREN

_BY_MANAGER = {"matchLabels": {labels.MANAGED_BY: labels.BY_MANAGER}}
_CONTROLLERS = (
    "request.userInfo.username.startsWith('system:serviceaccount:kube-system:') || "
    "request.userInfo.username == 'system:kube-controller-manager'"
)
_OVERRIDES = (
    f"authorizer.group('{API_GROUP}').resource('actionsgateways').namespace(request.namespace)"
    f".check('{OVERRIDE_VERB}').allowed()"
)
_IS_LEAVING = "oldObject != null && has(oldObject.metadata.deletionTimestamp)"
_CONDITIONS = {
    "is-staying": f"({cel.IS_STAYING}) && !({_IS_LEAVING})",
    "is-not-the-manager": f"!({cel.IS_MANAGER})",
    "is-no-controller": f"!({_CONTROLLERS})",
    "does-not-override": f"!{_OVERRIDES}",
}

_CONTENT = ("subjects", "roleRef", "automountServiceAccountToken")
"""Beside spec. A ServiceAccount's `secrets` and `imagePullSecrets` are others' to write: some clusters' controllers do,
and tenants with private runner images."""
_METADATA = ("labels", "ownerReferences", "finalizers")
_IS_CHANGED_GROUP = "request.operation == 'UPDATE' && request.kind.kind == 'RunnerGroup'"
"""Its agent works by its spec to the last, and many may patch it: on its way out it loses its finalizers only."""


def build_owned_object_policy() -> Policy:
    """Children of gateways, known by the manager's label before or after the change."""
    owner = f"{cel.labels_of('subject')}[?{cel.text(labels.OWNER_NAME)}].orValue('?')"
    belongs = (
        "request.kind.kind + ' ' + request.name + ' belongs to the ActionsGateway ' + "
        f"[object == null ? oldObject : object].map(subject, {owner})[0] + "
    )
    advice = "; change the gateway's spec instead"
    return Policy(
        name=OWNED_OBJECT_POLICY,
        rules=[resource_rule(group, [plural], ["CREATE", "UPDATE", "DELETE"]) for group, plural in MANAGER_CHILDREN],
        conditions=_CONDITIONS | {"is-staying": f"({_CONDITIONS['is-staying']}) || ({_IS_CHANGED_GROUP})"},
        object_selector=_BY_MANAGER,
        variables=_variables(),
        checks=[
            Check(
                "request.operation != 'CREATE'",
                cel.text(f"metadata.labels: {labels.MANAGED_BY}={labels.BY_MANAGER} is the manager's own; remove it"),
                "metadata.labels: this is the manager's own",
                Reason.FORBIDDEN,
            ),
            Check(
                "request.operation != 'DELETE'",
                belongs + cel.text(" and would come back; delete the gateway, or change its spec"),
                "this belongs to an ActionsGateway" + advice,
                Reason.FORBIDDEN,
            ),
            *_unchanged(belongs, advice),
        ],
    )


def build_manager_deployment_policy() -> Policy:
    """The manager's own Deployment: who may restart it cannot thereby run something else with the manager's rights."""
    return Policy(
        name=MANAGER_DEPLOYMENT_POLICY,
        rules=[resource_rule("apps", ["deployments"], ["UPDATE"], names=[MANAGER])],
        conditions={"is-ours": f"request.namespace == '{MANAGER_NAMESPACE}'"} | _CONDITIONS,
        variables=_variables(),
        checks=_unchanged(
            cel.text(f"Deployment {MANAGER} is changed by an installation") + " + ", "; only a restart is free"
        ),
    )


def _variables() -> dict[str, str]:
    def spec(subject: str) -> str:
        return f"{subject} == null ? {{}} : dyn({subject}).?spec.orValue({{}})"

    return {"new": spec("object"), "old": spec("oldObject")}


def _unchanged(subject: str, advice: str) -> list[Check]:
    """Checks of an update: nothing differs but annotations and the mark of a restart."""
    same = {field: f"dyn(object).metadata.?{field} == dyn(oldObject).metadata.?{field}" for field in _METADATA}
    same["finalizers"] = f"({same['finalizers']} || ({_IS_LEAVING} && {_FEWER_FINALIZERS}))"
    metadata = " && ".join(same.values())
    content = " && ".join(f"dyn(object).?{field} == dyn(oldObject).?{field}" for field in _CONTENT)
    spec = (
        "variables.new.size() == variables.old.size() && variables.new.all(k, k in variables.old && "
        f"(variables.new[k] == variables.old[k] || (k == 'template' && {_IS_RESTART})))"
    )
    return [
        _update(metadata, subject, f"; its {', '.join(_METADATA)} stay{advice}"),
        _update(f"{content} && {spec}", subject, advice),
    ]


def _template(subject: str, part: str) -> str:
    return f"variables.{subject}.template.?{part}"


_NEW, _OLD = (f"{_template(subject, 'metadata.?annotations')}.orValue({{}})" for subject in ("new", "old"))
_IS_RESTART = (
    f"{_template('new', 'spec')} == {_template('old', 'spec')} && "
    f"{_template('new', 'metadata.?labels')} == {_template('old', 'metadata.?labels')} && "
    f"{_NEW}.all(k, k == {cel.text(labels.RESTARTED_AT)} || {_OLD}[?k] == {_NEW}[?k]) && "
    f"{_OLD}.all(k, k == {cel.text(labels.RESTARTED_AT)} || k in {_NEW})"
)


_FEWER_FINALIZERS = (
    "dyn(object).metadata.?finalizers.orValue([]).all(f, f in dyn(oldObject).metadata.?finalizers.orValue([]))"
)


def _update(is_unchanged: str, subject: str, says: str) -> Check:
    return Check(
        f"request.operation != 'UPDATE' || ({is_unchanged})",
        subject + cel.text(says),
        "this belongs to the manager" + says,
        Reason.FORBIDDEN,
    )
