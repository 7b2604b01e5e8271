"""Egress: proxies that are gone, full, or told to go where they may not."""

from actions_gateway.metrics import catalog as m
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.catalog.jobs import QUOTA_REFUSES
from gw_alerts.expressions import GATEWAY, MEMORY, TENANT, compare, counted, latest
from gw_alerts.model import Alert, Arm, Depends, Part, Scope, Signal
from gw_alerts.recordings import EXPECTED_PROXIES, LONG_TUNNELS

_POD = f"{TENANT}, pod"

TUNNELS_PER_PROXY = t.Threshold(
    subject="open tunnels of one proxy",
    comparison=">",
    value=500,
    unit="tunnels",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page; a proxy takes 600 and turns further ones away",
)
IDLE_TUNNELS = t.Threshold(
    subject="open tunnels of one proxy through which next to nothing passes",
    comparison=">",
    value=100,
    unit="tunnels",
    severity=t.Severity.PAGE,
    source=t.OURS
    + "upstream's security page names the abuse; so many at under a byte a second hold places for nothing",
)
IDLE_BYTES_PER_SECOND = t.Threshold(
    subject="bytes a second and tunnel of such a proxy",
    comparison="<",
    value=1,
    unit="bytes per second",
    severity=t.Severity.PAGE,
    source=t.OURS + "a keep-alive every 50 seconds is more",
)
BREAKER = t.Threshold(
    subject="1 while a proxy opens no more connections, since it has as many as it may",
    comparison="=",
    value=1,
    unit="state",
    severity=t.Severity.TICKET,
    source=t.OURS + "Envoy's circuit breaker: further tunnels are turned away at once",
)
LONG_TUNNELS_PER_HOUR = t.Threshold(
    subject="tunnels of more than half an hour that closed within an hour",
    comparison=">",
    value=20,
    unit="tunnels",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page",
)
LIFETIMES_REACHED = t.Threshold(
    subject="tunnels that reached the longest life within an hour",
    comparison=">",
    value=0,
    unit="tunnels",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page: nothing of ours holds a tunnel for six hours",
)
CONNECT_FAILURES_PER_SECOND = t.Threshold(
    subject="connections to hosts that fail",
    comparison=">",
    value=1,
    unit="per second",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's security page: one a second for ten minutes",
)
DENIED_PER_SECOND = t.Threshold(
    subject="tunnels that the rules of egress refuse",
    comparison=">",
    value=0.1,
    unit="per second",
    severity=t.Severity.TICKET,
    source=t.OURS + "upstream's rule: 0.1 a second for ten minutes",
)

_LIVE = f"sum by ({TENANT}) ({foreign.PROXY_LIVE.name})"
_READY = latest(m.PROXY_READY_REPLICAS, TENANT)
_SCRAPED = f"sum by ({TENANT}) (last_over_time({foreign.PROXY_LIVE.name}[{MEMORY}]))"


def _ticket(name: str, arm: Arm, page: str, *, depends: frozenset[Depends] = frozenset(), by: str = TENANT,
            signal: Signal = Signal.CAUSE, seed: str = "") -> Alert:  # fmt: skip
    return Alert(
        name,
        t.Severity.TICKET,
        Part.PROXY,
        Scope.TENANT,
        signal,
        (arm,),
        page,
        tuple(by.split(", ")),
        depends,
        seed,
    )


PROXY_DOWN = _ticket(
    "ActionsGatewayProxyDown",
    Arm(
        # Either the manager or the proxies themselves tell; without a manager, proxies that were never scraped say
        # nothing by their silence.
        f"max by ({TENANT}) ({EXPECTED_PROXIES.name}) > 0"
        f" unless on ({TENANT}) ({_LIVE} > 0 or on ({TENANT}) {_READY} > 0)"
        f" and on ({TENANT}) ({_READY} or on ({TENANT}) {_SCRAPED})",
        2,
        "No proxy of {{ $labels.namespace }} is seen",
        "Nothing of the tenant reaches GitHub, nor anything else. The pages are what follows from it.",
        (t.PROXY_NOT_READY,),
        checks=("gateway.proxy",),
    ),
    "runbooks/alerts/proxy-down.md",
)
AUTOSCALER_BLIND = _ticket(
    "ActionsGatewayProxyHPAMetricUnknown",
    Arm(
        f"{latest(m.PROXY_HPA_METRIC_AVAILABLE, GATEWAY, worst='min')} == 0",
        10,
        "The proxy's autoscaler of {{ $labels.namespace }}/{{ $labels.name }} has no reading",
        "Autoscaling does not work: the proxies stay as many as they are.",
        (t.AUTOSCALER_BLIND,),
        checks=("proxy.autoscaler",),
    ),
    "runbooks/alerts/proxy-hpa.md",
    by=GATEWAY,
    depends=frozenset({Depends.MANAGER}),
    seed="Proxy HPA TARGETS: <unknown>",
)
PROXY_QUOTA_EXCEEDED = _ticket(
    "ActionsGatewayProxyQuotaExceeded",
    Arm(
        compare(latest(m.PROXY_QUOTA_EXCEEDED, GATEWAY), QUOTA_REFUSES),
        10,
        "The quota of {{ $labels.namespace }} refuses proxies",
        "Fewer proxies run than the gateway asks for.",
        (QUOTA_REFUSES,),
        checks=("quota.headroom",),
    ),
    "runbooks/alerts/quota.md",
    by=GATEWAY,
    depends=frozenset({Depends.MANAGER}),
)
SATURATED = _ticket(
    "ActionsGatewayProxyConnectionsSaturated",
    Arm(
        f"{compare(f'max by ({_POD}) ({foreign.TUNNELS.selector})', TUNNELS_PER_PROXY)}"
        f" or {compare(f'max by ({_POD}) ({foreign.BREAKER_OPEN.selector})', BREAKER)}",
        5,
        "The proxy {{ $labels.pod }} of {{ $labels.namespace }} is full",
        f"It has more than {TUNNELS_PER_PROXY.value:g} tunnels, or opens no more connections; new tunnels are turned "
        "away.",
        (TUNNELS_PER_PROXY, BREAKER),
        checks=("proxy.autoscaler",),
    ),
    "runbooks/alerts/proxy-saturation.md",
    by=_POD,
    signal=Signal.ABUSE,
)
SLOWLORIS = Alert(
    "ActionsGatewayProxySlowlorisSuspected",
    t.Severity.PAGE,
    Part.PROXY,
    Scope.TENANT,
    Signal.ABUSE,
    (
        Arm(
            compare(f"max by ({_POD}) ({foreign.TUNNELS.selector})", IDLE_TUNNELS)
            + f" and on ({_POD}) "
            + compare(
                f"sum by ({_POD}) (rate({foreign.RECEIVED_BYTES.over('15m')}))"
                f" / sum by ({_POD}) (avg_over_time({foreign.TUNNELS.over('15m')}))",
                IDLE_BYTES_PER_SECOND,
            ),
            15,
            "{{ $value }} idle tunnels hold the proxy {{ $labels.pod }} of {{ $labels.namespace }}",
            "Next to nothing passes through them: somebody takes up the proxy's places.",
            (IDLE_TUNNELS, IDLE_BYTES_PER_SECOND),
        ),
    ),
    "runbooks/alerts/proxy-saturation.md",
    tuple(_POD.split(", ")),
)
LONG_LIVED = _ticket(
    "ActionsGatewayProxyLongLivedTunnels",
    Arm(
        compare(f"round(sum by ({TENANT}) ({LONG_TUNNELS.name}))", LONG_TUNNELS_PER_HOUR),
        15,
        "Tunnels of {{ $labels.namespace }} live long",
        "{{ $value }} tunnels of more than half an hour closed within an hour.",
        (LONG_TUNNELS_PER_HOUR,),
    ),
    "runbooks/alerts/proxy-saturation.md",
    signal=Signal.ABUSE,
)
LIFETIME_CAP = _ticket(
    "ActionsGatewayProxyTunnelLifetimeCapHit",
    Arm(
        compare(f"round({counted('increase', foreign.LIFETIME_REACHED, '1h', TENANT)})", LIFETIMES_REACHED),
        0,
        "A tunnel of {{ $labels.namespace }} was ended after six hours",
        "{{ $value }} of them within an hour; no download of ours takes so long.",
        (LIFETIMES_REACHED,),
    ),
    "runbooks/alerts/proxy-saturation.md",
    signal=Signal.ABUSE,
)
DIAL_ERRORS = _ticket(
    "ActionsGatewayProxyDialErrorSpike",
    Arm(
        compare(counted("rate", foreign.CONNECT_FAILURES, "5m", TENANT), CONNECT_FAILURES_PER_SECOND),
        10,
        "Proxies of {{ $labels.namespace }} cannot connect to hosts",
        "{{ $value | humanize }} connections a second fail.",
        (CONNECT_FAILURES_PER_SECOND,),
        checks=("github.reachable",),
    ),
    "runbooks/alerts/network-github.md",
    depends=frozenset({Depends.GITHUB}),
)
DENIED = _ticket(
    "ActionsGatewayProxyConnectDenied",
    Arm(
        compare(counted("rate", foreign.DENIED, "5m", TENANT), DENIED_PER_SECOND),
        10,
        "Jobs of {{ $labels.namespace }} try hosts that they may not reach",
        "{{ $value | humanize }} tunnels a second are refused.",
        (DENIED_PER_SECOND,),
    ),
    "runbooks/alerts/egress-denied.md",
    signal=Signal.ABUSE,
)
