"""The processes themselves: agents, the manager, and what the manager says of gateways."""

from actions_gateway.api.names import AGENT_CONTAINER
from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.expressions import (
    CLUSTER,
    GATEWAY,
    MANAGER,
    MEMORY,
    RECONCILE_ERRORS,
    TENANT,
    any_event,
    compare,
    component,
    condition,
    counted,
    events,
    latest,
)
from gw_alerts.model import Alert, Arm, Depends, Part, Scope, Signal
from gw_alerts.recordings import EXPECTED_AGENTS

CRASHES = t.Threshold(
    subject="ends of an agent's container by a failure within 20 minutes",
    comparison=">=",
    value=3,
    unit="ends",
    severity=t.Severity.PAGE,
    source=t.OURS + "what the kubelet restarts every five minutes at last ends four times in 20 minutes",
)
NO_AGENT = t.Threshold(
    subject="agents of a gateway that are seen, where one is expected",
    comparison="<",
    value=1,
    unit="agents",
    severity=t.Severity.PAGE,
    source=t.OURS + "the twin of every page on an agent's own series, which end with it",
)
NO_MANAGER = t.Threshold(
    subject="managers of a cluster that lead",
    comparison="<",
    value=1,
    unit="managers",
    severity=t.Severity.TICKET,
    source=t.OURS + "tenants go on without one; it outlasts a change of leaders, and comes before what it inhibits",
)
FAILING_OBJECTS = t.Threshold(
    subject="objects whose last reconcile failed",
    comparison=">",
    value=0,
    unit="objects",
    severity=t.Severity.TICKET,
    source=t.OURS + "the back-off makes one failing object rarer than the runbook's rate",
)
NEW_GATEWAYS = t.Threshold(
    subject="gateways that appeared within 10 minutes",
    comparison=">",
    value=5,
    unit="gateways",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page: more than five in ten minutes",
)
NOT_READY = t.Threshold(
    subject="gateways that are not Ready, or say that something is wrong, for a quarter of an hour",
    comparison=">",
    value=0,
    unit="gateways",
    severity=t.Severity.TICKET,
    source=t.OURS + "a new one is Ready within 30 s; what of it keeps jobs from running has a page of its own",
)
NEWEST_RELEASE_AWAITED = t.Threshold(
    subject="gateways that wait for the newest release",
    comparison=">",
    value=0,
    unit="gateways",
    severity=t.Severity.TICKET,
    source=t.OURS + "a rollout that goes on is over sooner than the rule waits",
)
PAUSED = t.Threshold(
    subject="gateways that are paused",
    comparison=">=",
    value=1,
    unit="gateways",
    severity=t.Severity.INFO,
    source=t.OURS + "somebody wants it so; it only keeps tickets quiet that follow from it",
)
ADMISSION_DENIALS = t.Threshold(
    subject="requests that our admission policies denied",
    comparison=">",
    value=0.1,
    unit="per second",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page: 0.1 a second for a quarter of an hour",
)

OUR_DENIALS = 'policy=~"gmc-.*",enforcement_action="deny"'
"""Selects the denials of our policies."""
_OOM = 'reason="OOMKilled"'
_FAILURES = 'reason=~"OOMKilled|Error|Other"'
_AGC = f'container="{AGENT_CONTAINER}"'
_KUBE_OOM = (
    f"max by ({TENANT}) ({foreign.POD_TERMINATED.name}{{{_AGC},{_OOM}}}) == 1"
    f" and on ({TENANT}) sum by ({TENANT}) (increase({foreign.POD_RESTARTS.name}{{{_AGC}}}[15m])) > 0"
)
_KUBE_LOOP = (
    f'max by ({TENANT}) (max_over_time({foreign.POD_WAITING.name}{{{_AGC},reason="CrashLoopBackOff"}}[5m])) >= 1'
)

AGENT_OOM_KILLED = Alert(
    "ActionsGatewayAgentOOMKilled",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            f"{any_event(m.AGENT_TERMINATIONS, '15m', TENANT, _OOM)} or on ({TENANT}) ({_KUBE_OOM})",
            0,
            "The agent of {{ $labels.namespace }} ran out of memory",
            "It has no open session while it restarts. Raise spec.agent.resources.",
            (t.AGENT_OOM_KILLED,),
            checks=("agent.stable",),
        ),
    ),
    "runbooks/alerts/agent-down.md",
    ("cluster", "namespace"),
    seed="AGC pod OOMKilled",
)

AGENT_CRASH_LOOPING = Alert(
    "ActionsGatewayAgentCrashLooping",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            f"{compare(events(m.AGENT_TERMINATIONS, '20m', TENANT, _FAILURES), CRASHES)} or on ({TENANT}) {_KUBE_LOOP}",
            0,
            "The agent of {{ $labels.namespace }} fails again and again",
            "It has no open session while it is down, and locks of running jobs end within 10 minutes.",
            (CRASHES, t.AGENT_CRASH_LOOPING),
            checks=("agent.stable",),
        ),
    ),
    "runbooks/alerts/agent-down.md",
    ("cluster", "namespace"),
)

AGENT_DOWN = Alert(
    "ActionsGatewayAgentDown",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            f"max by ({TENANT}) ({EXPECTED_AGENTS.name}) > 0"
            f" unless on ({TENANT}) {component(m.Component.AGENT)} >= {NO_AGENT.value:g}",
            2,
            "No agent of {{ $labels.namespace }} is seen",
            "It should run one. Without it no job is taken, and locks of running jobs end within 10 minutes.",
            (NO_AGENT,),
            checks=("agent.available",),
        ),
    ),
    "runbooks/alerts/agent-down.md",
    ("cluster", "namespace"),
)

MANAGER_DOWN = Alert(
    "ActionsGatewayManagerDown",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.FLEET,
    Signal.CAUSE,
    (
        Arm(
            f"(max by ({CLUSTER}) (last_over_time({m.MANAGED_GATEWAYS.name}[{MEMORY}]))"
            f" unless on ({CLUSTER}) {MANAGER}) or absent(last_over_time({m.MANAGED_GATEWAYS.name}[{MEMORY}]))",
            5,
            "No manager leads",
            "Tenants go on working. New gateways and changes wait, and what only the manager tells is not known.",
            (NO_MANAGER,),
            checks=("manager.running",),
        ),
    ),
    "runbooks/alerts/manager-down.md",
    ("cluster",),
)

RECONCILE_ERRORS_ALERT = Alert(
    "ActionsGatewayReconcileErrors",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(RECONCILE_ERRORS, t.RECONCILE_ERRORS_PER_5_MINUTES),
            10,
            "Reconciles keep failing in {{ $labels.namespace }}",
            "What is written may be stale. {{ $value }} failures in 5 minutes.",
            (t.RECONCILE_ERRORS_PER_5_MINUTES,),
            checks=("reconcile.converging",),
        ),
    ),
    "runbooks/alerts/reconcile.md",
    ("cluster", "namespace"),
    seed="actions_gateway_reconcile_errors_total",
)

RECONCILE_STUCK = Alert(
    "ActionsGatewayReconcileStuck",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(latest(m.RECONCILE_FAILING_OBJECTS, f"{TENANT}, controller"), FAILING_OBJECTS),
            30,
            "{{ $value }} objects in {{ $labels.namespace }} do not reconcile",
            "Controller {{ $labels.controller }} has tried for half an hour.",
            (FAILING_OBJECTS,),
            checks=("reconcile.converging",),
        ),
    ),
    "runbooks/alerts/reconcile.md",
    ("cluster", "namespace", "controller"),
)

GATEWAY_NOT_READY = Alert(
    "ActionsGatewayGatewayNotReady",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            f"{condition('ActionsGateway', 'Ready', GATEWAY)} == 0",
            15,
            "{{ $labels.namespace }}/{{ $labels.name }} is not Ready",
            "A new gateway is Ready within about 30 seconds.",
            (NOT_READY,),
            checks=("gateway.ready",),
        ),
    ),
    "runbooks/alerts/gateway-not-ready.md",
    ("cluster", "namespace", "name"),
    frozenset({Depends.MANAGER, Depends.CLAIMS, Depends.GITHUB}),
    keep_firing_minutes=15,
)

GATEWAY_IMPAIRED = Alert(
    "ActionsGatewayGatewayImpaired",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(
                condition(
                    "ActionsGateway",
                    "CredentialUnavailable|Degraded|RunnerGroupsDegraded",
                    f"{GATEWAY}, type",
                ),
                NOT_READY,
            ),
            15,
            "{{ $labels.namespace }}/{{ $labels.name }} has the condition {{ $labels.type }}",
            "Its message says why and what to do.",
            (NOT_READY,),
            checks=("gateway.ready", "gateway.groups", "credential.available"),
        ),
    ),
    "runbooks/alerts/gateway-not-ready.md",
    ("cluster", "namespace", "name", "type"),
    # A paused tenant's key is bad all the same.
    frozenset({Depends.MANAGER, Depends.GITHUB}),
    keep_firing_minutes=15,
)

ROLLOUT_STOPPED = Alert(
    "ActionsGatewayRolloutStopped",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.FLEET,
    Signal.CAUSE,
    (
        Arm(
            compare(latest(m.ROLLOUT_WAITING, CLUSTER), NEWEST_RELEASE_AWAITED),
            int(t.RELEASE_BEHIND_SECONDS.value / 60),
            "{{ $value }} gateways wait for the newest release",
            "The manager rolls a few at a time and stops when one of them does not come back.",
            (NEWEST_RELEASE_AWAITED, t.RELEASE_BEHIND_SECONDS),
            checks=("versions.agree",),
        ),
    ),
    "runbooks/alerts/rollout-stopped.md",
    ("cluster",),
    frozenset({Depends.MANAGER}),
)

GATEWAYS_JUMP = Alert(
    "ActionsGatewayManagedGatewaysJump",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.FLEET,
    Signal.ABUSE,
    (
        Arm(
            compare(events(m.GATEWAYS_CREATED, "10m", CLUSTER), NEW_GATEWAYS),
            0,
            "{{ $value }} gateways appeared within 10 minutes",
            "Somebody installs many tenants, or somebody makes namespaces to take jobs with.",
            (NEW_GATEWAYS,),
        ),
    ),
    "runbooks/alerts/abuse-mass-provisioning.md",
    ("cluster",),
)

ADMISSION_DENIED = Alert(
    "ActionsGatewayAdmissionDenials",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.FLEET,
    Signal.ABUSE,
    (
        Arm(
            compare(
                counted("rate", foreign.ADMISSION_CHECKS, "10m", f"{CLUSTER}, policy", OUR_DENIALS), ADMISSION_DENIALS
            ),
            15,
            "The policy {{ $labels.policy }} denies {{ $value | humanize }} requests a second",
            "Somebody, or something, tries what the platform does not allow.",
            (ADMISSION_DENIALS,),
        ),
    ),
    "runbooks/alerts/abuse-admission.md",
    ("cluster", "policy"),
)

TENANT_PAUSED = Alert(
    "ActionsGatewayTenantPaused",
    t.Severity.INFO,
    Part.MANAGER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(condition("ActionsGateway", "Paused", TENANT), PAUSED),
            0,
            "{{ $labels.namespace }} is paused",
            "It claims no jobs by intention. Nobody is told; it inhibits tickets about what follows from that.",
            (PAUSED,),
            checks=("gateway.paused",),
        ),
    ),
    "runbooks/alerts/gateway-not-ready.md",
    ("cluster", "namespace"),
    keep_firing_minutes=15,
)
