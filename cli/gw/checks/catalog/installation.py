"""Checks of what an installation relies on: `gw check --pre` before there is one, `gw check` after."""

from collections.abc import Iterator

from actions_gateway.api import names
from actions_gateway.installation.release import is_pinned
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted
from gw.sources.definitions import OWN_VERSION, DefinitionFact
from gw.sources.facts import Facts, Need
from gw.sources.server import MINIMUM
from gw_alerts.thresholds import CLOCK_SKEW_SECONDS, IMAGE_FLOATING, Severity

_NEEDED_VERSION = ".".join(str(part) for part in MINIMUM)
_UPGRADE = "gw install --dry-run --release FILE"
_MIGRATION = "read runbooks/procedures/migrate-from-upstream.md"
_SHOWN = 8


def _version(facts: Facts) -> Iterator[Finding]:
    server = facts.server.value
    if server.number is None:
        yield unknown("", f"{server.host} calls itself {server.version}, which is no version", is_lasting=True)
    elif server.is_too_old:
        yield problem(
            "",
            f"{server.host} is Kubernetes {server.version}, and {_NEEDED_VERSION} or newer is needed",
            evidence=("older ones do not serve ValidatingAdmissionPolicy as admissionregistration.k8s.io/v1",),
            next_step="kubectl version",
        )
    else:
        yield ok("", f"Kubernetes {server.version}")


def _rights(facts: Facts) -> Iterator[Finding]:
    missing = [str(right) for right in facts.rights.value if not right.is_allowed]
    if missing:
        more = (f"and {len(missing) - _SHOWN} more",) if len(missing) > _SHOWN else ()
        yield problem(
            "",
            f"{counted(len(missing), 'right')} of {len(facts.rights.value)} are missing",
            evidence=(*(f"may not {right}" for right in missing[:_SHOWN]), *more),
            next_step="kubectl auth can-i --list",
        )
    else:
        yield ok("", f"all {len(facts.rights.value)} of them")


def _place(facts: Facts) -> Iterator[Finding]:
    place, definitions = facts.place.value, facts.definitions.value
    marks = [*(mark for each in definitions for mark in each.upstream_marks), *place.upstream_marks]
    if marks:
        yield problem(
            "",
            "the upstream Go project of the same name is installed, with other definitions under the same names",
            evidence=tuple(marks[:_SHOWN]),
            next_step=_MIGRATION,
        )
    if place.is_namespace_going:
        yield problem(
            f"namespace {names.MANAGER_NAMESPACE}",
            "it is being deleted",
            next_step=f"kubectl describe namespace {names.MANAGER_NAMESPACE}",
        )
    for definition in definitions:
        if definition.is_deleting:
            yield problem(
                definition.name,
                "it is being deleted, and every object of its type with it",
                next_step=f"kubectl describe crd {definition.name}",
            )
    if not (marks or place.is_namespace_going or any(definition.is_deleting for definition in definitions)):
        yield ok("", "nothing is in the way")


def _definitions_current(facts: Facts) -> Iterator[Finding]:
    for definition in facts.definitions.value:
        yield _definition(definition)


def _definition(definition: DefinitionFact) -> Finding:
    subject, version = definition.name, definition.version or "a release that does not say which"
    if not definition.exists:
        return skipped(subject, "it is not installed")
    if definition.upstream_marks:
        return problem(
            subject, "it is the upstream project's", evidence=definition.upstream_marks, next_step=_MIGRATION
        )
    if definition.is_newer:
        return problem(
            subject,
            f"it is of {version}, and this gw is {OWN_VERSION}: another gw belongs to this cluster",
            evidence=tuple(f"it has {field}" for field in definition.unknown_fields[:_SHOWN]),
            next_step="gw version",
        )
    if definition.is_older:
        return problem(
            subject,
            f"it is of {version}, and this release is {OWN_VERSION}",
            evidence=tuple(f"it lacks {field}" for field in definition.missing_fields[:_SHOWN]),
            next_step=_UPGRADE,
        )
    if not definition.is_established:
        return problem(
            subject,
            "the API server does not serve it",
            evidence=(definition.problem,),
            next_step=f"kubectl describe crd {subject}",
        )
    return ok(subject, f"of release {OWN_VERSION}")


def _policies_enforced(facts: Facts) -> Iterator[Finding]:
    for policy in facts.policies.value:
        if not policy.exists:
            yield problem(policy.name, "it is not there", next_step=_UPGRADE)
        elif policy.missing_bindings:
            yield problem(
                policy.name,
                "nothing binds it, so it refuses nothing",
                evidence=tuple(f"binding {binding}" for binding in policy.missing_bindings),
                next_step=_UPGRADE,
            )
        elif policy.missing_actions:
            actions = ", ".join(policy.missing_actions)
            yield problem(policy.name, f"its binding does not {actions}, so it refuses nothing", next_step=_UPGRADE)
        elif policy.changed_fields:
            yield problem(
                policy.name,
                f"its rules are not those of {OWN_VERSION}",
                evidence=tuple(f"{field} differs" for field in policy.changed_fields),
                next_step=_UPGRADE,
            )
        elif policy.is_mode_unknown:
            yield unknown(
                policy.name,
                "its rules follow from TENANT_NAMESPACES, which the manager's Deployment does not tell",
                next_step=f"kubectl get deploy {names.MANAGER} -n {names.MANAGER_NAMESPACE} -o yaml",
            )
        else:
            yield ok(policy.name, "bound as this release has it")


def _pod_security(facts: Facts) -> Iterator[Finding]:
    if facts.pod_security.value:
        yield ok("", "the API server refuses a level that does not exist")
    else:
        yield problem(
            "",
            "the API server takes any Pod Security level, so it enforces none: a job may run privileged",
            evidence=("a dry run of a namespace with the level no-such-level was accepted",),
            next_step="kubectl get --raw /metrics | grep pod_security_evaluations_total",
        )


def _network(facts: Facts) -> Iterator[Finding]:
    network = facts.network.value
    if network.enforcing:
        yield ok("", f"{' and '.join(network.enforcing)}")
    elif network.unready:
        yield unknown("", "; ".join(network.unready), next_step="kubectl get daemonset -A")
    elif network.idle:
        yield problem(
            "",
            f"{' and '.join(network.idle)} does not enforce NetworkPolicies: tenants are not isolated from each other",
            next_step="kubectl get daemonset -A",
        )
    else:
        seen = " and ".join(network.unsure)
        why = f"{seen}: a DaemonSet does not tell" if seen else "no network plugin that gw knows was found"
        trial = "Try it: runbooks/checks/network.enforced.md has a trial of two pods."
        yield unknown("", why, next_step=trial, is_lasting=True)


def _metrics(facts: Facts) -> Iterator[Finding]:
    metrics = facts.metrics.value
    if not metrics.is_registered:
        yield problem(
            "",
            "nobody serves metrics.k8s.io, so nothing can scale by load and kubectl top is blind",
            next_step="kubectl get apiservice v1beta1.metrics.k8s.io",
        )
    elif metrics.problem:
        yield problem(
            "",
            "metrics.k8s.io is registered and gives no answer",
            evidence=(metrics.problem,),
            next_step="kubectl describe apiservice v1beta1.metrics.k8s.io",
        )
    else:
        yield ok("", "metrics.k8s.io answers")


def _monitoring(facts: Facts) -> Iterator[Finding]:
    if "monitoring.coreos.com" in facts.server.value.groups:
        yield ok("", "monitoring.coreos.com is served")
    else:
        yield problem(
            "",
            "the Prometheus operator is not there: monitors and alert rules are left out of the installation",
            next_step="kubectl get crd servicemonitors.monitoring.coreos.com",
        )


def _clock(facts: Facts) -> Iterator[Finding]:
    clock = facts.clock.value
    if clock is None:
        yield unknown("", "the API server does not say what time it has", is_lasting=True)
    elif abs(clock.skew_seconds) > CLOCK_SKEW_SECONDS.value:
        direction = "ahead of" if clock.skew_seconds > 0 else "behind"
        yield problem(
            "",
            f"the API server's clock is {abs(clock.skew_seconds):.0f} s {direction} this machine's",
            evidence=("GitHub refuses tokens of a clock that is a minute off, and ages shown here are wrong",),
            next_step="timedatectl status",
        )
    else:
        yield ok("", f"within {CLOCK_SKEW_SECONDS.value:.0f} s")


def _pinned(facts: Facts) -> Iterator[Finding]:
    deployment = facts.manager.value.deployment
    if deployment is None:
        return
    floating = sorted({image for image in deployment.images if not is_pinned(image)})
    subject = f"{names.MANAGER_NAMESPACE}/{names.MANAGER}"
    if floating:
        yield problem(
            subject,
            f"{counted(len(floating), 'image')} without a digest may change without anybody's doing",
            evidence=tuple(floating),
            next_step=_UPGRADE,
        )
    else:
        yield ok(subject, "every image has a digest")


VERSION = Check(
    "api.version",
    f"The API server is Kubernetes {_NEEDED_VERSION} or newer",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.SERVER}),
    _version,
    category=Category.INSTALLATION,
    looks_at="the API server's version",
)
RIGHTS = Check(
    "install.rights",
    "You have every right that an installation takes",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.RIGHTS}),
    _rights,
    category=Category.INSTALLATION,
    looks_at="what the API server lets the caller do",
)
PLACE = Check(
    "install.place",
    "Nothing stands where the installation goes",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.PLACE, Need.DEFINITIONS}),
    _place,
    category=Category.INSTALLATION,
    looks_at="the namespace and objects that an installation would take",
)
DEFINITIONS = Check(
    "api.crds-current",
    "The custom resource definitions are of this release",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.DEFINITIONS}),
    _definitions_current,
    category=Category.VERSIONS,
    looks_at="release and fields of the custom resource definitions beside those of this gw",
)
POLICIES = Check(
    "policies.enforced",
    "Every admission policy is bound and refuses",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.POLICIES}),
    _policies_enforced,
    category=Category.INSTALLATION,
    looks_at="the admission policies, their bindings, and an attempt that they have to refuse",
)
POD_SECURITY = Check(
    "pod-security.enforced",
    "The API server enforces Pod Security levels",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.POD_SECURITY}),
    _pod_security,
    category=Category.INSTALLATION,
    looks_at="an attempt that Pod Security has to refuse",
)
NETWORK = Check(
    "network.enforced",
    "A network plugin enforces NetworkPolicies",
    Severity.PAGE,
    Scope.PLATFORM,
    frozenset({Need.NETWORK}),
    _network,
    category=Category.INSTALLATION,
    looks_at="the DaemonSets of the cluster's network plugin",
)
METRICS = Check(
    "metrics.served",
    "The resource metrics API answers",
    Severity.TICKET,
    Scope.PLATFORM,
    frozenset({Need.METRICS}),
    _metrics,
    category=Category.INSTALLATION,
    looks_at="the resource metrics API, from which the proxies' autoscaler reads",
)
MONITORING = Check(
    "monitoring.served",
    "The Prometheus operator is installed",
    Severity.INFO,
    Scope.PLATFORM,
    frozenset({Need.SERVER}),
    _monitoring,
    category=Category.INSTALLATION,
    looks_at="whether the API server serves the Prometheus operator's types",
)
CLOCK = Check(
    "clock.agrees",
    f"The API server's clock and this machine's agree within {CLOCK_SKEW_SECONDS.value:.0f} s",
    CLOCK_SKEW_SECONDS.severity,
    Scope.PLATFORM,
    frozenset({Need.CLOCK}),
    _clock,
    category=Category.PLATFORM,
    looks_at="the API server's clock beside this machine's",
)
PINNED = Check(
    "manager.pinned",
    "Every image of the installation has a digest",
    IMAGE_FLOATING.severity,
    Scope.PLATFORM,
    frozenset({Need.MANAGER}),
    _pinned,
    category=Category.INSTALLATION,
    looks_at="the images in the manager's Deployment",
)

CHECKS: tuple[Check, ...] = (
    VERSION,
    RIGHTS,
    PLACE,
    DEFINITIONS,
    POLICIES,
    POD_SECURITY,
    NETWORK,
    METRICS,
    MONITORING,
    CLOCK,
    PINNED,
)
