"""Which rights the commands of a page take, and which a step has by its needs: kubectl by its verbs, gw by a table."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actions_gateway.api.names import AGENT, API_GROUP, MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.metadata import Manifest
from actions_gateway.installation.people import people_manifests
from gw.ops.runbook.model import Need
from gw.ops.runbook.places import FORMS, fill
from support.page_commands import command_of, commands_in

TENANT = FORMS["TENANT"].example
EVERYWHERE = "*"
_READ = ("get", "list", "watch")
_WITH_VALUE = {"-n", "--namespace", "-o", "-l", "-p", "--type", "--patch-file", "--tail", "--timeout"}
_KIND = re.compile(r"^kind: (\w+)$", re.MULTILINE)
_PLACE = re.compile(r"^  namespace: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Right:
    """What the API server is asked for."""

    verb: str
    group: str
    plural: str
    namespace: str
    """Empty for what lies in none, and `*` for all of them."""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.plural} in {self.namespace or 'the cluster'}"


_GATEWAYS, _GROUPS = (API_GROUP, "actionsgateways"), (API_GROUP, "runnergroups")
_SECRETS, _CONFIGMAPS, _NAMESPACES, _QUOTAS = (
    ("", "secrets"),
    ("", "configmaps"),
    ("", "namespaces"),
    ("", "resourcequotas"),
)
_DEPLOYMENTS, _PODS, _EVENTS = ("apps", "deployments"), ("", "pods"), ("", "events")
_NODES = ("", "nodes")
_SHAPE = ("apps", "deployments/shape")
"""No resource of the API: what the policies keep from whoever may patch a Deployment of ours, which is all but a
restart."""
_BINDINGS = ("rbac.authorization.k8s.io", "rolebindings")
_ADMISSION = "admissionregistration.k8s.io"
_KINDS = {
    "actionsgateway": _GATEWAYS,
    "runnergroup": _GROUPS,
    "secret": _SECRETS,
    "cm": _CONFIGMAPS,
    "configmap": _CONFIGMAPS,
    "namespace": _NAMESPACES,
    "resourcequota": _QUOTAS,
    "deploy": _DEPLOYMENTS,
    "deployment": _DEPLOYMENTS,
    "pod": _PODS,
    "event": _EVENTS,
    "node": _NODES,
    "service": ("", "services"),
    "serviceaccount": ("", "serviceaccounts"),
    "networkpolicy": ("networking.k8s.io", "networkpolicies"),
    "servicecidr": ("networking.k8s.io", "servicecidrs"),
    "endpointslice": ("discovery.k8s.io", "endpointslices"),
    "rolebinding": _BINDINGS,
    "crd": ("apiextensions.k8s.io", "customresourcedefinitions"),
    "validatingwebhookconfiguration": (_ADMISSION, "validatingwebhookconfigurations"),
}
_IN_NO_NAMESPACE = {
    "namespaces",
    "nodes",
    "servicecidrs",
    "customresourcedefinitions",
    "validatingwebhookconfigurations",
}
_NOTHING_ASKED = {"cluster-info", "config", "version", "explain"}


def kubectl_rights(words: list[str], script: str) -> Iterator[Right]:
    """The rights that one command takes; `script` is where the manifest of an `apply` stands."""
    options, values = _parsed(words)
    verb, *rest = values
    namespace = EVERYWHERE if {"-A", "--all-namespaces"} & set(options) else options.get("-n", "default")
    if verb in _NOTHING_ASKED:
        return
    if verb == "apply":
        places = _PLACE.findall(script)
        for kind, place in zip(_KIND.findall(script), places, strict=True):
            yield from _rights(("get", "create", "patch"), _KINDS[kind.lower()], place)
        return
    if verb == "events":
        yield from _rights(["list"], _EVENTS, namespace)
        return
    if verb == "logs":
        yield from _rights(["get"], _DEPLOYMENTS, namespace) if rest else ()
        yield from _rights(["list"], _PODS, namespace)
        yield from _rights(["get"], ("", "pods/log"), namespace)
        return
    if verb in ("cordon", "uncordon"):
        yield from _rights(["get", "patch"], _NODES, name=rest[0])
        return
    if verb == "rollout":
        verb, *rest = f"{verb} {rest[0]}", *rest[1:]
    for kind, name in _objects(rest):
        verbs = _READ if verb == "get" and not name else _VERBS[verb]
        yield from _rights(verbs, _KINDS[kind], namespace, name)
        yield from _rights(["patch"], _SHAPE, namespace, name) if verb in _RESHAPING else ()
    if verb == "describe":
        yield from _rights(["list"], _EVENTS, namespace)


_VERBS = {
    "get": ["get"],
    "describe": ["get", "list"],
    "wait": _READ,
    "rollout status": _READ,
    "rollout restart": ["get", "patch"],
    "rollout undo": ["get", "patch"],
    "scale": ["get", "patch"],
    "patch": ["get", "patch"],
    "annotate": ["get", "patch"],
    "label": ["get", "patch"],
    "create": ["create"],
    "delete": [*_READ, "delete"],
}
_RESHAPING = {"rollout undo", "scale"}


def gw_rights(words: list[str]) -> Iterator[Right]:
    """The writes of one command of gw and, for what asks the cluster at all, the least that reading takes."""
    _, arguments = command_of(words)
    path = tuple(words[: len(words) - len(arguments)])
    if path in WITHOUT_CLUSTER or "--export" in arguments:
        return
    is_about_one = TENANT in arguments
    yield Right("list", *_GATEWAYS, TENANT if is_about_one else EVERYWHERE)
    if path in WRITES:
        yield from WRITES[path]
    if path == ("tenant", "add"):
        yield from _rights(["create"], _NAMESPACES) if "--use-existing-namespace" not in arguments else ()
        yield from _rights(["create"], _QUOTAS, TENANT) if "--quota" in arguments else ()
    if path == ("tenant", "remove") and "--keep-namespace" not in arguments:
        yield from _rights(["delete"], _NAMESPACES)
    if path == ("handoff",) and "--sign" in arguments:
        yield from _rights(["create"], _CONFIGMAPS, MANAGER_NAMESPACE)


def _rights(verbs: Iterable[str], resource: tuple[str, str], namespace: str = "", name: str = "") -> Iterator[Right]:
    group, plural = resource
    where = "" if plural in _IN_NO_NAMESPACE else namespace
    yield from (Right(verb, group, plural, where, name) for verb in verbs)


_ANYTHING = (Right("*", "*", "*", EVERYWHERE),)
_RECORDS = tuple(_rights(("create", "patch"), _CONFIGMAPS, MANAGER_NAMESPACE))
_PATCH = tuple(_rights(["patch"], _GATEWAYS, TENANT))
_RESTART_AGENT = tuple(_rights(["patch"], _DEPLOYMENTS, TENANT, AGENT))
_RESTART_MANAGER = tuple(_rights(["patch"], _DEPLOYMENTS, MANAGER_NAMESPACE, MANAGER))
WRITES: dict[tuple[str, ...], tuple[Right, ...]] = {
    ("install",): _ANYTHING,
    ("uninstall",): _ANYTHING,
    ("tenant", "add"): (*_rights(["create"], _SECRETS, TENANT), *_rights(["create"], _GATEWAYS, TENANT)),
    ("tenant", "update"): _PATCH,
    ("tenant", "pause"): _PATCH,
    ("tenant", "resume"): _PATCH,
    ("tenant", "remove"): (*_PATCH, *_rights(["delete"], _GATEWAYS, TENANT)),
    ("runner-group", "scale"): _PATCH,
    ("quota", "adjust"): tuple(_rights(["patch"], _QUOTAS, TENANT)),
    ("key", "rotate"): (*_PATCH, *_rights(("get", "create"), _SECRETS, TENANT)),
    ("restart", "agent"): _RESTART_AGENT,
    ("restart", "manager"): _RESTART_MANAGER,
    ("incident", "agent-failure"): (*_RECORDS, *_RESTART_AGENT),
    ("incident", "manager-failure"): (*_RECORDS, *_RESTART_MANAGER),
    ("incident", "key-compromise"): (*_RECORDS, *_PATCH, *_rights(("get", "create", "delete"), _SECRETS, TENANT)),
    ("job", "rerun"): tuple(_rights(["patch"], _GROUPS, TENANT)),
    ("handoff",): (),
    ("sandbox", "up"): (),
    ("sandbox", "fault"): (),
}
"""What each command writes whatever its options are."""
WITHOUT_CLUSTER = {("version",), ("sandbox", "up"), ("sandbox", "fault")}


def rights_of(script: str) -> Iterator[Right]:
    """The rights that the commands of a script take, with examples in its places."""
    filled = fill(script, {place: form.example for place, form in FORMS.items()})
    for words in commands_in(filled):
        if words[0] == "kubectl":
            yield from kubectl_rights(words[1:], filled)
        elif words[0] == "gw":
            yield from gw_rights(words[1:])


def is_given(right: Right, needs: Iterable[Need]) -> bool:
    """Whether whoever has all of the needs holds the right."""
    return any(_gives(need, right) for need in needs)


def _gives(need: Need, right: Right) -> bool:
    if need in (Need.PLATFORM, Need.SANDBOX):
        return True
    if need is Need.SECRETS:
        return (right.group, right.plural) == _SECRETS and right.namespace == TENANT
    return any(_reaches(role, right) and _has(role, right) for role in people_manifests() if _name(role) == need.value)


def _name(role: Manifest) -> str:
    return str(role["metadata"]["name"])


def _reaches(role: Manifest, right: Right) -> bool:
    """A Role holds in its namespace, `gw-tenant` where it is bound: in one, with that namespace's own object."""
    if role["kind"] == "Role":
        return bool(right.namespace == role["metadata"]["namespace"])
    if _name(role) == Need.TENANT.value:
        return TENANT in (right.namespace, right.name if right.plural == "namespaces" else "")
    return True


def _has(role: Manifest, right: Right) -> bool:
    return any(
        right.verb in rule["verbs"]
        and right.group in rule["apiGroups"]
        and right.plural in rule["resources"]
        and right.name in rule.get("resourceNames", [right.name])
        for rule in role["rules"]
    )


def _parsed(words: list[str]) -> tuple[dict[str, str], list[str]]:
    options, values, rest = dict[str, str](), list[str](), iter(words)
    for word in rest:
        if not word.startswith("-"):
            values.append(word)
        elif word in _WITH_VALUE:
            options[word] = next(rest)
        else:
            key, _, value = word.partition("=")
            options[key] = value
    return options, values


def _objects(words: list[str]) -> Iterator[tuple[str, str]]:
    """Kind and name of each object; the name is empty where all are meant."""
    if not words:
        return
    if "/" in words[0]:
        yield from ((_kind(kind), name) for kind, _, name in (word.partition("/") for word in words if "/" in word))
        return
    names = [word for word in words[1:] if "=" not in word and not word.endswith("-")]
    yield from ((_kind(kind), name) for kind in words[0].split(",") for name in names[:1] or [""])


def _kind(word: str) -> str:
    return word if word in _KINDS else word.removesuffix("s")
