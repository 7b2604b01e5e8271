"""Credentials, limits and ages: what ends access to GitHub, or will."""

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t
from gw_alerts.expressions import GATEWAY, TENANT, TOKEN_ERRORS, age, budget_left, compare, condition, events
from gw_alerts.model import Alert, Arm, Depends, Part, Scope, Signal

CREDENTIAL_DAYS = t.Threshold(
    subject="age of an App's key, by how long its gateway has referred to its Secret",
    comparison=">",
    value=90 * 86400,
    unit="seconds",
    severity=t.Severity.TICKET,
    source=t.OURS + "keys never end at GitHub by themselves; a quarter is what the readiness review gives a secret",
)
RUNNER_RELEASE_DAYS = t.Threshold(
    subject="age of the runner version that agents report",
    comparison=">",
    value=60 * 86400,
    unit="seconds",
    severity=t.Severity.TICKET,
    source=t.OURS + "a release comes about every month, and 30 days later GitHub need not serve the one before it",
)
KEY_REFUSALS = t.Threshold(
    subject="installation tokens that GitHub refused within 10 minutes",
    comparison=">",
    value=3,
    unit="refusals",
    severity=t.Severity.PAGE,
    source=t.OURS + "upstream's security page names 3 errors in 10 minutes; what GitHub does not answer counts "
    "elsewhere",
)

TOKEN_REFRESH_ERRORS = Alert(
    "ActionsGatewayTokenRefreshErrors",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            compare(TOKEN_ERRORS, t.TOKEN_REFRESH_ERRORS_PER_HOUR),
            2,
            "{{ $labels.namespace }} does not get its installation tokens",
            "{{ $value }} errors in the last hour. The current token ends within an hour, and without another one no "
            "runner is registered; an outage that is over is counted for an hour, too.",
            (t.TOKEN_REFRESH_ERRORS_PER_HOUR,),
            checks=("credential.refresh",),
        ),
    ),
    "runbooks/alerts/token-refresh.md",
    ("cluster", "namespace"),
    frozenset({Depends.GITHUB, Depends.AGENT}),
    seed="actions_gateway_token_refresh_errors_total",
)

TOKEN_EXPIRING = Alert(
    "ActionsGatewayTokenExpiring",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(f"min by ({TENANT}) ({m.TOKEN_EXPIRY_TIMESTAMP.name} > 0) - time()", t.TOKEN_LEFT_SECONDS),
            2,
            "The installation token of {{ $labels.namespace }} ends soon and is not renewed",
            "{{ $value | humanizeDuration }} are left; an agent renews it 5 minutes before its end.",
            (t.TOKEN_LEFT_SECONDS,),
            checks=("credential.token",),
        ),
    ),
    "runbooks/alerts/token-refresh.md",
    ("cluster", "namespace"),
    frozenset({Depends.GITHUB, Depends.AGENT}),
)

RATE_LIMITED = Alert(
    "ActionsGatewayRateLimited",
    t.Severity.PAGE,
    Part.GITHUB,
    Scope.TENANT,
    Signal.SYMPTOM,
    (
        Arm(
            # The condition turns True after those minutes, by itself. The agent says when a limit began, for the time
            # without a manager.
            f"{condition('ActionsGateway', 'RateLimited', TENANT)} == 1 or on ({TENANT})"
            f" {age(m.RATE_LIMITED_SINCE, TENANT)} > {t.RATE_LIMITED_MINUTES.value * 60:g}",
            1,
            "GitHub has limited {{ $labels.namespace }} for more than ten minutes",
            "The installation is over its API budget: sessions and registrations wait, and jobs with them.",
            (t.RATE_LIMITED_MINUTES,),
            checks=("gateway.rate-limit",),
        ),
    ),
    "runbooks/alerts/rate-limited.md",
    ("cluster", "namespace"),
    # Not on the agent: the manager tells of it, too, and a limit lasts while an agent is away.
    frozenset({Depends.GITHUB}),
    seed="ActionsGateway condition RateLimited=True",
)

BUDGET_LOW = Alert(
    "ActionsGatewayRateLimitBudgetLow",
    t.Severity.TICKET,
    Part.GITHUB,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(budget_left(), t.BUDGET_LEFT_SHARE),
            5,
            "The REST budget of {{ $labels.namespace }} is nearly used up",
            "{{ $value | humanizePercentage }} of the hour's budget is left; registrations and reruns wait without it.",
            (t.BUDGET_LEFT_SHARE,),
            checks=("github.budget",),
        ),
    ),
    "runbooks/alerts/rate-limited.md",
    ("cluster", "namespace"),
    frozenset({Depends.GITHUB, Depends.AGENT}),
)

CREDENTIAL_OLD = Alert(
    "ActionsGatewayCredentialOld",
    t.Severity.TICKET,
    Part.MANAGER,
    Scope.TENANT,
    Signal.CAUSE,
    (
        Arm(
            compare(age(m.CREDENTIAL_REFERENCED, GATEWAY), CREDENTIAL_DAYS),
            60,
            "The App's key of {{ $labels.namespace }}/{{ $labels.name }} is old",
            "The gateway has referred to its Secret for {{ $value | humanizeDuration }}. Rotate the key.",
            (CREDENTIAL_DAYS,),
        ),
    ),
    "runbooks/alerts/credentials-old.md",
    ("cluster", "namespace", "name"),
    frozenset({Depends.MANAGER}),
)

RUNNER_VERSION_OLD = Alert(
    "ActionsGatewayRunnerVersionOld",
    t.Severity.TICKET,
    Part.AGENT,
    Scope.FLEET,
    Signal.CAUSE,
    (
        Arm(
            compare(age(m.RUNNER_VERSION_RELEASED, "cluster, version"), RUNNER_RELEASE_DAYS),
            60,
            "Runner version {{ $labels.version }} is old",
            "It was released {{ $value | humanizeDuration }} ago. GitHub stops giving jobs to old versions: upgrade.",
            (RUNNER_RELEASE_DAYS,),
            checks=("runner.version",),
        ),
    ),
    "runbooks/alerts/runner-version.md",
    ("cluster", "version"),
    frozenset(),
)

TOKEN_REFRESH_ABUSE = Alert(
    "ActionsGatewayTokenRefreshAbuse",
    t.Severity.PAGE,
    Part.AGENT,
    Scope.TENANT,
    Signal.ABUSE,
    (
        Arm(
            compare(
                events(m.GITHUB_REQUESTS, "10m", TENANT, 'endpoint="token",code_class="4xx"'),
                KEY_REFUSALS,
            ),
            10,
            "GitHub keeps refusing the App's key of {{ $labels.namespace }}",
            "{{ $value }} refusals in 10 minutes: the key was revoked, or somebody tries keys. Not a GitHub outage.",
            (KEY_REFUSALS,),
            checks=("credential.available",),
        ),
    ),
    "runbooks/alerts/key-compromise.md",
    ("cluster", "namespace"),
)
