"""Which fields of a worker's pod template are the gateway's own, in ActionsGateways and in RunnerGroups alike, and
which priority classes their tiers may not name."""

from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.names import API_GROUP, POD_TEMPLATE_POLICY
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, Policy, resource_rule
from actions_gateway.installation.policies.pod_rules import (
    ACCOUNT_RULES,
    HOST_RULES,
    NAMESPACE_MAY_BE_PRIVILEGED,
    PRIORITY_ADVICE,
    PRIVILEGED_RULE,
    SCHEDULING_RULES,
    PodRule,
    is_system_priority,
)

_PARTS = "{{'path': dyn({path}), 'spec': dyn({spec}), 'labels': dyn({labels})}}"
_TEMPLATES = (
    "request.resource.resource == 'actionsgateways' ? "
    "dyn(object).spec.?runnerGroups.orValue([]).filter(g, has(g.podTemplate)).map(g, {entry}) : "
    "[dyn(object).spec].filter(g, has(g.podTemplate)).map(g, {group})"
)
_GROUPS = (
    "request.resource.resource == 'actionsgateways' ? "
    "dyn(object).spec.?runnerGroups.orValue([]).map(g, {entry}) : [dyn(object).spec].map(g, {group})"
)


def build_pod_template_policy() -> Policy:
    """Reserved fields of pod templates."""
    checks = [_check(rule) for rule in (*HOST_RULES, *SCHEDULING_RULES, *ACCOUNT_RULES)]
    return Policy(
        name=POD_TEMPLATE_POLICY,
        rules=[resource_rule(API_GROUP, ["actionsgateways", "runnergroups"], ["CREATE", "UPDATE"])],
        conditions={"is-staying": cel.IS_STAYING, "has-new-spec": cel.HAS_NEW_SPEC},
        variables={"templates": _templates(), "groups": _groups(), "mayBePrivileged": _may_be_privileged()},
        checks=[*checks, _privileged_check(), _label_check(), _tier_check()],
    )


def _templates() -> str:
    """The templates of the object as a list of {path, spec, labels}."""
    entry = _part("'spec.runnerGroups[' + g.name + '].podTemplate'")
    return _TEMPLATES.format(entry=entry, group=_part("'spec.podTemplate'"))


def _part(path: str) -> str:
    metadata = cel.map_at("g.podTemplate", "metadata")
    return _PARTS.format(path=path, spec=cel.map_at("g.podTemplate", "spec"), labels=cel.map_at(metadata, "labels"))


def _groups() -> str:
    """The groups of the object as a list of {path, tiers}."""
    part = "{{'path': dyn({path}), 'tiers': dyn({tiers})}}"
    tiers = cel.maps_at("g", "priorityTiers")
    return _GROUPS.format(
        entry=part.format(path="'spec.runnerGroups[' + g.name + ']'", tiers=tiers),
        group=part.format(path="'spec'", tiers=tiers),
    )


def _may_be_privileged() -> str:
    """A RunnerGroup does not tell its gateway's profile; there the platform's permission decides."""
    profile = f"dyn(object).spec.?securityProfile.orValue('') == '{SecurityProfile.PRIVILEGED.value}'"
    return f"request.resource.resource == 'actionsgateways' ? {profile} : {NAMESPACE_MAY_BE_PRIVILEGED}"


def _check(rule: PodRule, *, unless: str = "") -> Check:
    return _template_check(f"[t.spec].exists(s, {rule.is_broken})", f".spec.{rule.field}: {rule.advice}", unless=unless)


def _privileged_check() -> Check:
    return _check(PRIVILEGED_RULE, unless="variables.mayBePrivileged")


def _label_check() -> Check:
    advice = f"keys under actions-gateway/ and {API_GROUP}/ are the gateway's own; remove them"
    return _template_check(f"t.labels.exists(k, {cel.OUR_KEY})", f".metadata.labels: {advice}")


def _tier_check() -> Check:
    is_broken = f"g.tiers.exists(t, {is_system_priority('t')})"
    says = f".priorityTiers: {PRIORITY_ADVICE}"
    return Check(
        f"!variables.groups.exists(g, {is_broken})",
        f"variables.groups.filter(g, {is_broken})[0].path + {cel.text(says)}",
        f"a group's {says[1:]}",
    )


def _template_check(is_broken: str, says: str, *, unless: str = "") -> Check:
    """A check of every template `t`; its message begins with the path of the first one that breaks it."""
    allowed = f"{unless} || " if unless else ""
    return Check(
        f"{allowed}variables.templates.all(t, !({is_broken}))",
        f"variables.templates.filter(t, {is_broken})[0].path + {cel.text(says)}",
        f"podTemplate{says}",
    )
