"""Series that others export and rules, boards and checks read: Envoy, Prometheus, Alertmanager, the API server.

Envoy's counters have no `_total` in its Prometheus form. Sources: Envoy's documentation, "HTTP connection manager
statistics", "Cluster manager statistics", "RBAC statistics"; Prometheus's and Alertmanager's own `/metrics`; Kubernetes
metrics reference; kube-state-metrics' documentation. `optional` ones are never what a rule rests on alone.
"""

from dataclasses import dataclass

from actions_gateway.proxy.egress import EGRESS


@dataclass(frozen=True, slots=True)
class ForeignSeries:
    """One series of somebody else's; `name` is complete."""

    name: str
    exporter: str
    labels: tuple[str, ...]
    what: str
    matchers: str = ""
    """Selects ours of them."""
    is_optional: bool = False

    @property
    def selector(self) -> str:
        """The instant selector of ours."""
        return self.chosen()

    def chosen(self, matchers: str = "") -> str:
        """The same, of ours those that match."""
        every = ",".join(filter(None, (self.matchers, matchers)))
        return f"{self.name}{{{every}}}" if every else self.name

    def over(self, window: str) -> str:
        """The range selector of ours."""
        return f"{self.selector}[{window}]"


_LISTENER = f'envoy_http_conn_manager_prefix="{EGRESS}"'
_UPSTREAM = f'envoy_cluster_name="{EGRESS}"'
_TARGET = ("namespace", "pod")


def _listener(name: str, what: str, *labels: str) -> ForeignSeries:
    names = ("envoy_http_conn_manager_prefix", *labels, *_TARGET)
    return ForeignSeries(f"envoy_http_{name}", "Envoy", names, what, _LISTENER)


def _upstream(name: str, what: str, *labels: str) -> ForeignSeries:
    return ForeignSeries(f"envoy_cluster_{name}", "Envoy", ("envoy_cluster_name", *labels, *_TARGET), what, _UPSTREAM)


TUNNELS = _listener("downstream_cx_upgrades_active", "Open tunnels.")
TUNNELS_OPENED = _listener("downstream_cx_upgrades_total", "Tunnels opened.")
TUNNEL_LENGTH_BUCKET = _listener("downstream_cx_length_ms_bucket", "Closed connections by length.", "le")
TUNNEL_LENGTH_COUNT = _listener("downstream_cx_length_ms_count", "Closed connections.")
RECEIVED_BYTES = _listener("downstream_cx_rx_bytes_total", "Bytes that came from clients.")
SENT_BYTES = _listener("downstream_cx_tx_bytes_total", "Bytes that went to clients.")
LIFETIME_REACHED = _listener("downstream_cx_max_duration_reached", "Connections that lived as long as they may.")
IDLE_TIMEOUTS = _listener("downstream_rq_idle_timeout", "Tunnels closed since nothing passed.")
DENIED = _listener("rbac_denied", "Tunnels refused by the rules of egress.")
ALLOWED = _listener("rbac_allowed", "Tunnels that the rules of egress let pass.")
CONNECT_FAILURES = _upstream("upstream_cx_connect_fail", "Connections to hosts that failed.")
CONNECT_TIME_BUCKET = _upstream("upstream_cx_connect_ms_bucket", "Time to connect to a host.", "le")
BREAKER_OPEN = _upstream("circuit_breakers_default_cx_open", "1 while no more connections to hosts are made.")
PROXY_LIVE = ForeignSeries("envoy_server_live", "Envoy", _TARGET, "1 while Envoy serves.")

RULE_FAILURES = ForeignSeries(
    "prometheus_rule_evaluation_failures_total", "Prometheus", ("rule_group",), "Evaluations of rules that failed."
)
RULES_LOADED = ForeignSeries(
    "prometheus_rule_group_rules", "Prometheus", ("instance", "rule_group"), "Rules of a group."
)
ITERATIONS_MISSED = ForeignSeries(
    "prometheus_rule_group_iterations_missed_total", "Prometheus", ("rule_group",), "Evaluations that did not happen."
)
NOTIFICATIONS_FAILED = ForeignSeries(
    "alertmanager_notifications_failed_total", "Alertmanager", ("integration",), "Notifications not delivered."
)
NOTIFICATIONS = ForeignSeries(
    "alertmanager_notifications_total", "Alertmanager", ("integration",), "Notifications attempted."
)
ADMISSION_CHECKS = ForeignSeries(
    "apiserver_validating_admission_policy_check_total",
    "kube-apiserver",
    ("policy", "policy_binding", "enforcement_action"),
    "Decisions of ValidatingAdmissionPolicies that were not plain admissions.",
    is_optional=True,
)
NODE_CONDITION = ForeignSeries(
    "kube_node_status_condition",
    "kube-state-metrics",
    ("node", "condition", "status"),
    "1 for a node's condition.",
    'condition=~".*Pressure",status="true"',
    is_optional=True,
)
POD_TERMINATED = ForeignSeries(
    "kube_pod_container_status_last_terminated_reason",
    "kube-state-metrics",
    ("namespace", "pod", "container", "reason"),
    "1 for why a container ended last.",
    is_optional=True,
)
POD_RESTARTS = ForeignSeries(
    "kube_pod_container_status_restarts_total",
    "kube-state-metrics",
    ("namespace", "pod", "container"),
    "Restarts of a container.",
    is_optional=True,
)
POD_WAITING = ForeignSeries(
    "kube_pod_container_status_waiting_reason",
    "kube-state-metrics",
    ("namespace", "pod", "container", "reason"),
    "1 for why a container waits.",
    is_optional=True,
)
ALERTS_SERIES = ForeignSeries(
    "ALERTS", "Prometheus", ("alertname", "alertstate", "severity", "namespace"), "1 for each alert while it is there."
)
ALERTS_SINCE = ForeignSeries(
    "ALERTS_FOR_STATE", "Prometheus", ("alertname", "severity", "namespace"), "Since when an alert's expression holds."
)

FOREIGN: tuple[ForeignSeries, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, ForeignSeries)
)
