"""What the Deployments are that the manager makes: the agent without the node and without other Secrets, and the proxy
without any Secret at all. Which of the two one is, its name says; there are no others."""

from actions_gateway.api.names import AGENT, GITHUB_APP_KEYS, PROXY, PROXY_CONTAINER
from actions_gateway.installation.policies import cel
from actions_gateway.installation.policies.building import Check, forbid_here
from actions_gateway.installation.policies.pod_rules import (
    CONTAINERS,
    HOST_RULES,
    PRIVILEGED_RULE,
    SCHEDULING_RULES,
    PodRule,
)

_AGENT_VOLUME_FIELDS = ("name", "secret", "configMap")
_OF_THE_POD = ("fieldRef", "resourceFieldRef")
"""What a variable may take its value from without reading another object."""
_VOLUMES = cel.maps_at("s", "volumes")
_VARIABLES = {AGENT: "agents", PROXY: "proxies"}


def deployment_variables() -> dict[str, str]:
    """By variable, the pod's spec of a Deployment that has that name; none for other objects."""
    is_named = "request.resource.resource == 'deployments' && object != null && object.metadata.name == '{}'"
    return {
        variable: f"{is_named.format(name)} ? [dyn(object).spec.template.spec] : []"
        for name, variable in _VARIABLES.items()
    }


def deployment_checks() -> list[Check]:
    """What holds for agents, and what for proxies."""
    of_workers = (*HOST_RULES, *SCHEDULING_RULES, PRIVILEGED_RULE)
    return [
        *(_check(AGENT, rule) for rule in _agent_rules()),
        *(_check(AGENT, rule, "what no worker may, no agent may; ") for rule in of_workers),
        *(_check(PROXY, rule) for rule in _proxy_rules()),
        *(_check(PROXY, rule, "what no worker may, no proxy may; ") for rule in of_workers),
    ]


def _agent_rules() -> tuple[PodRule, ...]:
    env = cel.maps_at("c", "env") + ".exists(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef))"
    env_from = cel.maps_at("c", "envFrom") + ".exists(e, has(e.secretRef))"
    return (
        _account_rule(AGENT, "an agent"),
        _capability_rule("an agent"),
        PodRule(
            "containers",
            f"{CONTAINERS}.exists(c, {env} || {env_from})",
            "an agent has no Secret in its environment",
        ),
        PodRule(
            "volumes",
            f"!{_VOLUMES}.all(v, v.all(k, k in {cel.texts(_AGENT_VOLUME_FIELDS)}))",
            "an agent mounts Secrets and ConfigMaps alone",
        ),
        PodRule(
            "volumes",
            f"!{_VOLUMES}.all(v, !has(v.secret) || {_has_app_keys_only()})",
            f"of a Secret an agent mounts the items {', '.join(GITHUB_APP_KEYS)} alone",
        ),
    )


def _proxy_rules() -> tuple[PodRule, ...]:
    """A proxy speaks to the internet for the tenant's jobs, so there is nothing in it to take."""
    others = f"e.valueFrom.exists(k, !(k in {cel.texts(_OF_THE_POD)}))"
    env = f"{cel.maps_at('c', 'env')}.exists(e, has(e.valueFrom) && {others})"
    env_from = f"{cel.list_at('c', 'envFrom')}.size() > 0"
    is_alone = f"{CONTAINERS}.size() == 1 && {CONTAINERS}.all(c, c.name == '{PROXY_CONTAINER}')"
    return (
        _account_rule(PROXY, "a proxy"),
        PodRule(
            "automountServiceAccountToken",
            "s.?automountServiceAccountToken.orValue(true) != false",
            "a proxy has no token of the cluster, it is false",
        ),
        PodRule("volumes", f"{cel.list_at('s', 'volumes')}.size() > 0", "a proxy mounts nothing"),
        PodRule(
            "containers",
            f"{CONTAINERS}.exists(c, {env} || {env_from})",
            "a proxy has no Secret or ConfigMap in its environment",
        ),
        PodRule("containers", f"!({is_alone})", f"a proxy is one container, {PROXY_CONTAINER}"),
        _capability_rule("a proxy"),
    )


def _account_rule(account: str, whose: str) -> PodRule:
    return PodRule(
        "serviceAccountName", f"s.?serviceAccountName.orValue('') != '{account}'", f"{whose} runs as {account}"
    )


def _capability_rule(whose: str) -> PodRule:
    added = cel.list_at(cel.map_at(cel.map_at("c", "securityContext"), "capabilities"), "add")
    return PodRule("containers", f"{CONTAINERS}.exists(c, {added}.size() > 0)", f"{whose} has no capabilities")


def _has_app_keys_only() -> str:
    """Without items, a volume holds all keys of its Secret."""
    items = "v.secret.?items.orValue([])"
    return f"({items}.size() > 0 && {items}.all(i, i.key in {cel.texts(GITHUB_APP_KEYS)}))"


def _check(name: str, rule: PodRule, why: str = "") -> Check:
    return forbid_here(
        f"!variables.{_VARIABLES[name]}.exists(s, {rule.is_broken})",
        f"spec.template.spec.{rule.field}: {why}{rule.advice}",
    )
