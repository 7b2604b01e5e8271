"""Faults of a whole sandbox: what people on call meet, each with a name that drills and tests share.

Each lasts until it is taken back: its cause is one that nothing in the system repairs. `drills` carries them out and
knows none by name; faults of the protocol alone are in `github.faults`. `expects` names the checks of `gw health` that
report it, `follows` those that may truthfully report a consequence beside it, `alert` the alert that tells people.
"""

from collections.abc import Callable, Sequence

from gateway_sandbox.drills import causes, signs
from gateway_sandbox.drills.model import Fault, Scope, Snapshot
from gateway_sandbox.drills.monitoring_steps import Stop
from gateway_sandbox.drills.site import CannotInject
from gateway_sandbox.drills.steps import Step
from gateway_sandbox.monitoring.programs import ALERTMANAGER, PROMETHEUS, MonitoringProgram

__all__ = ["FAULTS", "Fault", "Scope", "fault_of"]

_PAGE, _TICKET, _INFO = "page", "ticket", "info"
_DEAF = frozenset({"gateway.ready", "gateway.groups", "session.open", "session.polling", "job.waiting", "job.unserved"})
"""What follows when a tenant has no session."""
_ANEW = _DEAF | {"credential.refresh", "agent.available"}
"""What follows where agents start anew, which on a slow machine takes as long as a look or two."""


def fault_of(name: str) -> Fault | None:
    """The fault of that name, or None."""
    return next((fault for fault in FAULTS if fault.name == name), None)


def _stops(program: MonitoringProgram) -> Callable[[Snapshot], Sequence[Step]]:
    def plan(now: Snapshot) -> Sequence[Step]:
        if program.name not in now.listening:
            raise CannotInject(
                f"{program.name} is not installed", f"Debian's package {program.package} brings it; start anew with it."
            )
        return (Stop(program.name),)

    return plan


FAULTS: tuple[Fault, ...] = (
    Fault(
        "wrong-key",
        "The App's key is refused",
        "The credential was rotated to a Secret that holds another App's key: GitHub refuses it with 401.",
        Scope.TENANT,
        (("credential.available", _PAGE),),
        causes.wrong_key,
        lambda now: signs.credential(now, "KeyRejected"),
        _ANEW,
        alert="ActionsGatewayNoActiveSessions",
    ),
    Fault(
        "missing-secret",
        "The App's Secret is gone",
        "The Secret was deleted, as by a GitOps prune, and the agent has restarted since: it has nothing to read.",
        Scope.TENANT,
        (("credential.available", _PAGE),),
        causes.missing_secret,
        lambda now: signs.credential(now, "SecretNotFound"),
        _ANEW,
        alert="ActionsGatewayNoActiveSessions",
    ),
    Fault(
        "missing-permission",
        "The App lacks a permission",
        "The installation lost the right to register runners, and its tokens are void: no runner can be registered.",
        Scope.CLUSTER,
        (("credential.available", _PAGE), ("credential.permissions", _PAGE)),
        causes.missing_permission,
        lambda now: signs.credential(now, "PermissionMissing"),
        _ANEW,
        alert="ActionsGatewayNoActiveSessions",
    ),
    Fault(
        "agent-down",
        "The agent does not start",
        "The ConfigMap of caBundleRef was deleted and the agent's node drained: the new pod cannot mount it.",
        Scope.TENANT,
        (("agent.available", _PAGE),),
        causes.agent_down,
        signs.agent_is_gone,
        _DEAF | {"monitoring.targets"},
        alert="ActionsGatewayAgentDown",
    ),
    Fault(
        "manager-down",
        "The manager is down",
        "Its Deployment was scaled to 0 and forgotten: jobs go on, and no gateway is changed, repaired or reported on.",
        Scope.CLUSTER,
        (("manager.running", _TICKET), ("manager.leading", _TICKET)),
        causes.manager_down,
        signs.manager_is_gone,
        frozenset({"monitoring.targets"}),
        alert="ActionsGatewayManagerDown",
    ),
    Fault(
        "deaf-listener",
        "Sessions are open and hear nothing",
        "GitHub's broker takes the tenant's polls and never answers them: its jobs are not delivered.",
        Scope.TENANT,
        # A ticket after two missing answers, a page after the third.
        (("session.polling", _TICKET),),
        causes.deaf_listener,
        signs.is_deaf,
        _DEAF - {"session.polling"},
        alert="ActionsGatewayNoActiveSessions",
    ),
    Fault(
        "rate-limit",
        "The hour's GitHub budget is used up",
        "Something else has spent the App's calls of this hour, and every runner has served: new ones are refused.",
        Scope.CLUSTER,
        (("github.budget", _TICKET),),
        causes.rate_limit,
        signs.is_silent,
        _DEAF | {"gateway.rate-limit", "credential.refresh"},
        alert="ActionsGatewayRateLimitBudgetLow",
    ),
    Fault(
        "quota-full",
        "The namespace's quota is full",
        "The platform set a ResourceQuota that allows the pods that run now and none more, and a job waits for room.",
        Scope.TENANT,
        (("quota.headroom", _PAGE),),
        causes.quota_full,
        signs.quota_is_full,
        frozenset({"worker.admitted", "gateway.groups", "job.waiting"}),
        alert="ActionsGatewayPodCreationLatencyP99",
    ),
    Fault(
        "unschedulable",
        "No node fits the workers",
        "The groups' pod template selects a node pool that was decommissioned, and a job waits for its pod.",
        Scope.TENANT,
        # A page once the pod has waited for a minute.
        (("worker.scheduling", _TICKET),),
        causes.unschedulable,
        signs.is_unschedulable,
        frozenset({"worker.starting", "job.waiting"}),
        alert="ActionsGatewayPodCreationLatencyP99",
    ),
    Fault(
        "missing-image",
        "The workers' image does not exist",
        "The groups' image was deleted from its registry, and a job's pod cannot pull it.",
        Scope.TENANT,
        (("worker.image", _PAGE),),
        causes.missing_image,
        signs.image_fails,
        frozenset({"worker.starting", "worker.admitted", "gateway.groups", "job.waiting"}),
        alert="ActionsGatewayPodCreationLatencyP99",
    ),
    Fault(
        "eviction-loop",
        "Workers are evicted again and again",
        "The node is short of memory and evicts the tenant's workers seconds after their start, reruns as well.",
        Scope.TENANT,
        (("job.lost", _TICKET), ("retries.exhausted", _TICKET)),
        causes.eviction_loop,
        signs.is_evicted_again,
        frozenset({"worker.stable", "worker.evicted", "job.waiting"}),
        alert="ActionsGatewayEvictionRetriesExhausted",
    ),
    Fault(
        "worker-oom",
        "Workers are killed for memory",
        "The jobs of the tenant need more memory than their limit: the kernel kills the runner's container.",
        Scope.TENANT,
        (("worker.stable", _TICKET),),
        causes.worker_oom,
        signs.is_oom_killed,
        frozenset({"retries.exhausted", "job.waiting", "job.locks"}),
    ),
    Fault(
        "proxy-down",
        "No egress proxy is there",
        "The platform lowered the namespace's quota, and a drain took the proxies: their successors are not admitted.",
        Scope.TENANT,
        (("gateway.proxy", _PAGE),),
        causes.proxy_down,
        signs.proxies_are_gone,
        _DEAF | {"quota.headroom", "proxy.autoscaler", "credential.refresh", "worker.admitted", "monitoring.targets"},
        alert="ActionsGatewayProxyDown",
    ),
    Fault(
        "hpa-unknown",
        "The proxies' autoscalers read nothing",
        "metrics.k8s.io is gone, as after metrics-server was removed: TARGETS shows <unknown> and nothing is scaled.",
        Scope.CLUSTER,
        (("proxy.autoscaler", _TICKET),),
        causes.hpa_unknown,
        signs.autoscaler_is_blind,
        alert="ActionsGatewayProxyHPAMetricUnknown",
    ),
    Fault(
        "github-unreachable",
        "GitHub does not answer",
        "Every connection to GitHub is reset: no session can be opened, no lock renewed, no job reported.",
        Scope.CLUSTER,
        (("github.reachable", _PAGE),),
        causes.github_unreachable,
        signs.is_silent,
        _DEAF | {"credential.refresh", "job.locks", "job.renewal"},
        alert="ActionsGatewayGitHubUnreachable",
    ),
    Fault(
        "clock-skew",
        "The cluster's clock is 15 min ahead of GitHub's",
        "GitHub takes every signed request for one of the future and refuses it; agents that start get no token.",
        Scope.CLUSTER,
        # clock.agrees compares the API server with gw: those agree here, and GitHub's refusal names the clock.
        (("credential.available", _PAGE),),
        causes.clock_skew,
        signs.clock_is_blamed,
        _ANEW | {"clock.agrees", "github.reachable"},
        alert="ActionsGatewayNoActiveSessions",
    ),
    Fault(
        "label-unserved",
        "A job asks for labels that no group serves",
        f"A workflow's runs-on names `{causes.ABSENT_LABEL}`: the job stays queued at GitHub, unheard of here.",
        Scope.TENANT,
        # Only GitHub knows of it: without the App's key at hand the check is skipped.
        (("job.unserved", _TICKET),),
        causes.label_unserved,
        signs.job_is_unserved,
    ),
    Fault(
        "old-crd",
        "A definition is older than the manager",
        f"The RunnerGroup definition was put back to one without `spec.{causes.LOST_FIELD}`, which is dropped since.",
        Scope.CLUSTER,
        (("api.crds-current", _PAGE),),
        causes.old_crd,
        signs.crd_is_old,
    ),
    Fault(
        "stuck-deletion",
        "A gateway's deletion does not end",
        "The gateway was deleted while a load balancer's finalizer holds its proxies' Service, and nobody lifts that.",
        Scope.TENANT,
        # A ticket when the manager's own limit is over, after 10 min.
        (("gateway.deleting", _INFO),),
        causes.stuck_deletion,
        signs.deletion_is_stuck,
    ),
    Fault(
        "alertmanager-down",
        "Alertmanager is down",
        "Its process is stopped, as after the loss of its node: alerts fire and nobody hears of them.",
        Scope.CLUSTER,
        (("monitoring.alertmanager", _TICKET),),
        _stops(ALERTMANAGER),
        lambda now: now.listening.get(ALERTMANAGER.name) is False,
    ),
    Fault(
        "prometheus-down",
        "Prometheus is down",
        "Its process is stopped, as after its volume ran full: nothing is measured, and no alert can fire.",
        Scope.CLUSTER,
        (("monitoring.answers", _TICKET),),
        _stops(PROMETHEUS),
        lambda now: now.listening.get(PROMETHEUS.name) is False,
        frozenset({"monitoring.targets", "monitoring.alertmanager"}),
    ),
)
