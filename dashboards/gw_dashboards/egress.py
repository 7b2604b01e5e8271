"""The board of the egress proxies: what passes, what is refused, and who holds the places."""

from actions_gateway.metrics import catalog as m
from actions_gateway.proxy.egress import MAX_TUNNELS
from gw_alerts import foreign
from gw_alerts import thresholds as t
from gw_alerts.catalog import proxies
from gw_alerts.catalog.jobs import QUOTA_REFUSES
from gw_alerts.recordings import EXPECTED_PROXIES, LONG_TUNNELS
from gw_dashboards.bounds import beyond, counted, instances
from gw_dashboards.model import Board, Kind, Panel, Presence, Query, Row, Tag, Variable, Word
from gw_dashboards.promql import OF_TENANT, TENANT, buckets, number, over, per, quantile, select, within, worst

UID = "actions-gateway-egress"
_POD = f"{TENANT}, pod"
_BY_POD = ("namespace", "pod")
_TENANT = ("namespace",)
_NO_PROXY = "No proxy is scraped here"
_EXPECTED = f"max by ({TENANT}) ({select(EXPECTED_PROXIES, OF_TENANT)}) > 0"
_LIVE = f"sum by ({TENANT}) ({select(foreign.PROXY_LIVE, OF_TENANT)}) > 0"
_READY = f"{worst(m.PROXY_READY_REPLICAS, TENANT, OF_TENANT)} > 0"
_GATEWAY = f"{TENANT}, name"
_BY_GATEWAY = ("namespace", "name")

ANSWER = Row(
    "Does traffic pass?",
    (
        Panel(
            title="Tenants without a proxy",
            description="Nothing of theirs reaches GitHub, nor anything else.",
            kind=Kind.STAT,
            queries=(
                Query(number(f"{_EXPECTED} unless on ({TENANT}) ({_LIVE} or on ({TENANT}) {_READY})", _EXPECTED)),
            ),
            no_value="No proxy is expected here",
            alerts=(proxies.PROXY_DOWN,),
            bounds=instances(t.PROXY_NOT_READY),
            width=6,
        ),
        Panel(
            title="Most tunnels of one proxy",
            description=f"A proxy takes {MAX_TUNNELS} and turns further ones away.",
            kind=Kind.STAT,
            queries=(Query(f"max({select(foreign.TUNNELS, OF_TENANT)})"),),
            no_value=_NO_PROXY,
            alerts=(proxies.SATURATED,),
            bounds=counted(proxies.TUNNELS_PER_PROXY),
            width=6,
        ),
        Panel(
            title="Does the autoscaler have a reading?",
            description="Without one the proxies stay as many as they are.",
            kind=Kind.STAT,
            queries=(
                Query(worst(m.PROXY_HPA_METRIC_AVAILABLE, _GATEWAY, OF_TENANT, how="min"), _BY_GATEWAY),
            ),
            no_value="No manager says anything of proxies",
            words=(Word("0", "NO READING", is_bad=True), Word("1", "yes")),
            alerts=(proxies.AUTOSCALER_BLIND,),
            width=6,
        ),
        Panel(
            title="Does quota refuse proxies?",
            description="Fewer run than the gateway asks for.",
            kind=Kind.STAT,
            queries=(Query(worst(m.PROXY_QUOTA_EXCEEDED, _GATEWAY, OF_TENANT), _BY_GATEWAY),),
            no_value="No manager says anything of proxies",
            words=(Word("0", "no"), Word("1", "REFUSES", is_bad=True)),
            alerts=(proxies.PROXY_QUOTA_EXCEEDED,),
            bounds=beyond(QUOTA_REFUSES),
            width=6,
        ),
        Panel(
            title="Proxies: ready and expected",
            description="Ready below expected: no room, no quota, or an image that cannot be pulled.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(worst(m.PROXY_READY_REPLICAS, _GATEWAY, OF_TENANT), _BY_GATEWAY, "ready"),
                Query(worst(EXPECTED_PROXIES, _GATEWAY, OF_TENANT), _BY_GATEWAY, "at least", is_dashed=True),
            ),
            no_value="No manager says anything of proxies",
            alerts=(proxies.PROXY_DOWN,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Connections to hosts that fail",
            description="GitHub or the way to it. All tenants at once: the network.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(foreign.CONNECT_FAILURES, 1, TENANT, OF_TENANT), _TENANT),),
            no_value=_NO_PROXY,
            alerts=(proxies.DIAL_ERRORS,),
            bounds=beyond(proxies.CONNECT_FAILURES_PER_SECOND),
            lowest=0,
            width=8,
            leads_to_tenant=True,
        ),
        Panel(
            title="Tunnels refused by the rules of egress",
            description="Jobs try hosts that they may not reach: allowedHosts lacks one, or somebody tries.",
            kind=Kind.TIME_SERIES,
            queries=(Query(per(foreign.DENIED, 1, TENANT, OF_TENANT), _TENANT),),
            no_value=_NO_PROXY,
            alerts=(proxies.DENIED,),
            bounds=beyond(proxies.DENIED_PER_SECOND),
            lowest=0,
            width=8,
            leads_to_tenant=True,
        ),
    ),
)  # fmt: skip
TUNNELS = Row(
    "Tunnels",
    (
        Panel(
            title="Open tunnels, by proxy",
            description="One far above the others: somebody holds its places.",
            kind=Kind.TIME_SERIES,
            queries=(Query(worst(foreign.TUNNELS, _POD, OF_TENANT), _BY_POD),),
            no_value=_NO_PROXY,
            alerts=(proxies.SATURATED, proxies.SLOWLORIS),
            bounds=counted(proxies.TUNNELS_PER_PROXY),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Bytes a second and tunnel, of 15 minutes",
            description="Of proxies with more tunnels than idle ones may be. Next to nothing: they are held for "
            "nothing.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(
                    f"{over('rate', foreign.RECEIVED_BYTES, '15m', _POD, OF_TENANT)}"
                    f" / ({over('avg_over_time', foreign.TUNNELS, '15m', _POD, OF_TENANT)} > 0)"
                    f" and on ({_POD}) {worst(foreign.TUNNELS, _POD, OF_TENANT)} > {proxies.IDLE_TUNNELS.value:g}",
                    _BY_POD,
                    presence=Presence.FAULT,
                ),
            ),
            no_value="No proxy has so many tunnels that idle ones would matter",
            alerts=(proxies.SLOWLORIS,),
            bounds=beyond(proxies.IDLE_BYTES_PER_SECOND),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Tunnels opened and let pass per second",
            description="What jobs and agents start. Opened without being let pass are refused.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(foreign.TUNNELS_OPENED, 1, TENANT, OF_TENANT), _TENANT, "opened"),
                Query(per(foreign.ALLOWED, 1, TENANT, OF_TENANT), _TENANT, "let pass"),
            ),
            no_value=_NO_PROXY,
            unit="cps",
            lowest=0,
            width=8,
        ),
        Panel(
            title="Bytes a second",
            description="From clients and to them. A tenant that sends far more than it receives uploads.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(per(foreign.RECEIVED_BYTES, 1, TENANT, OF_TENANT), _TENANT, "from"),
                Query(per(foreign.SENT_BYTES, 1, TENANT, OF_TENANT), _TENANT, "to"),
            ),
            no_value=_NO_PROXY,
            unit="Bps",
            lowest=0,
            width=8,
        ),
        Panel(
            title="Lifetime of tunnels",
            description="Long polls end within a minute or two, downloads within minutes. A band of hours is neither.",
            kind=Kind.HEATMAP,
            queries=(Query(buckets(foreign.TUNNEL_LENGTH_BUCKET, OF_TENANT), ("le",)),),
            no_value=_NO_PROXY,
            unit="ms",
            alerts=(proxies.LONG_LIVED,),
            width=8,
        ),
        Panel(
            title="Time to connect to a host, p95",
            description="A rise for all tenants is the network's, for one tenant its host's.",
            kind=Kind.TIME_SERIES,
            queries=(
                Query(quantile(foreign.CONNECT_TIME_BUCKET, 0.95, TENANT, OF_TENANT), _TENANT, presence=Presence.JOBS),
            ),
            no_value="No connection was made",
            unit="ms",
            alerts=(proxies.DIAL_ERRORS,),
            lowest=0,
            width=8,
        ),
        Panel(
            title="Tunnels of more than half an hour, of an hour",
            description="That closed within an hour. Nothing of ours holds one so long, large downloads aside.",
            kind=Kind.STAT,
            queries=(Query(f"round(sum by ({TENANT}) ({worst(LONG_TUNNELS, _POD, OF_TENANT)}))", _TENANT),),
            no_value=_NO_PROXY,
            alerts=(proxies.LONG_LIVED,),
            bounds=counted(proxies.LONG_TUNNELS_PER_HOUR),
            width=8,
            height=6,
        ),
        Panel(
            title="Tunnels ended after six hours, of an hour",
            description="The longest life. No download of ours takes so long.",
            kind=Kind.STAT,
            queries=(Query(within(foreign.LIFETIME_REACHED, "1h", TENANT, OF_TENANT), _TENANT),),
            no_value=_NO_PROXY,
            alerts=(proxies.LIFETIME_CAP,),
            bounds=counted(proxies.LIFETIMES_REACHED),
            width=4,
            height=6,
        ),
        Panel(
            title="Tunnels closed as idle, of an hour",
            description="Nothing passed through them. Some are usual; a steady stream belongs to one who holds places.",
            kind=Kind.STAT,
            queries=(Query(within(foreign.IDLE_TIMEOUTS, "1h", TENANT, OF_TENANT), _TENANT),),
            no_value=_NO_PROXY,
            unit="short",
            alerts=(proxies.SLOWLORIS,),
            width=4,
            height=6,
        ),
        Panel(
            title="Does a proxy turn connections away?",
            description="It opens no more connections to hosts.",
            kind=Kind.STATE_TIMELINE,
            queries=(Query(worst(foreign.BREAKER_OPEN, _POD, OF_TENANT), _BY_POD),),
            no_value=_NO_PROXY,
            words=(Word("0", "no"), Word("1", "full", is_bad=True)),
            alerts=(proxies.SATURATED,),
            width=8,
            height=6,
        ),
    ),
)

BOARD = Board(
    uid=UID,
    title="Actions Gateway: egress",
    description="What passes the tenants' proxies, what they refuse, and who holds their places.",
    rows=(ANSWER, TUNNELS),
    variables=(Variable.CLUSTER, Variable.NAMESPACE),
    tags=(Tag.ALL, Tag.TENANT),
)
