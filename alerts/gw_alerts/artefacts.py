"""The texts of the files that are generated from the catalogue, each as its program reads it."""

from collections.abc import Mapping
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.metadata import metadata
from actions_gateway.installation.monitoring import INTERVAL, PROMETHEUS_RULE, UNSELECTED, monitoring_manifests
from actions_gateway.installation.scraping import scrape_configs, server_scrape_configs
from actions_gateway.installation.selection import format_selection
from actions_gateway.kube.resources import PROMETHEUSRULES
from actions_gateway.manifests.yamltext import render_document, render_documents
from gw_alerts import rules
from gw_alerts.model import Links
from gw_alerts.values import ALERTMANAGER_ADDRESS, Values

RULES = "actions-gateway.rules.yaml"
"""The rule file's name, also where a Prometheus loads it."""

PROMETHEUS_ADDRESS = "localhost:9090"
"""Where a Prometheus reaches itself, unless it was told to listen elsewhere."""

NO_LINKS = Links()

_PODS: Mapping[str, Any] = {"kubernetes_sd_configs": [{"role": "pod"}]}


def render_rules(links: Links = NO_LINKS) -> str:
    """The rule file, as promtool and Prometheus read it."""
    return render_document({"groups": rules.rule_groups(links)})


def build_prometheus_rule(
    links: Links = NO_LINKS, namespace: str = MANAGER_NAMESPACE, *, selected_by: Mapping[str, str] = UNSELECTED
) -> dict[str, Any]:
    """The same groups for a Prometheus with the operator, with the labels by which it selects them."""
    about = metadata(PROMETHEUS_RULE, namespaced=True)
    about["labels"] |= selected_by
    return {
        "apiVersion": PROMETHEUSRULES.api_version,
        "kind": PROMETHEUSRULES.kind,
        "metadata": {**about, "namespace": namespace, **_kept(links, selected_by)},
        "spec": {"groups": rules.rule_groups(links)},
    }


def _kept(links: Links, selected_by: Mapping[str, str]) -> dict[str, Any]:
    named = {
        labels.RUNBOOK_URL: links.runbooks,
        labels.GRAFANA_URL: links.grafana,
        labels.MONITORING_LABELS: format_selection(selected_by),
    }
    return {"annotations": {name: text for name, text in named.items() if text}} if any(named.values()) else {}


def render_prometheus_rule(
    links: Links = NO_LINKS, namespace: str = MANAGER_NAMESPACE, *, selected_by: Mapping[str, str] = UNSELECTED
) -> str:
    """The PrometheusRule as a manifest."""
    return render_document(build_prometheus_rule(links, namespace, selected_by=selected_by))


def render_monitors(selected_by: Mapping[str, str] = UNSELECTED) -> str:
    """Service, ServiceMonitor and PodMonitors, by which a Prometheus with the operator finds what it scrapes."""
    return render_documents(monitoring_manifests(selected_by))


def render_scrape_configs(alertmanager: str = ALERTMANAGER_ADDRESS) -> str:
    """The jobs for a Prometheus without the operator that runs in the cluster: a part of its configuration."""
    return render_document({"scrape_configs": _jobs(alertmanager)})


def render_prometheus(values: Values) -> str:
    """A whole configuration for a Prometheus without the operator; the rule file lies beside it."""
    alertmanager = values.alertmanager.address
    return render_document(
        {
            "global": {
                "scrape_interval": INTERVAL,
                "evaluation_interval": rules.INTERVAL,
                "external_labels": {"cluster": values.cluster},
            },
            "rule_files": [RULES],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": _jobs(alertmanager),
        }
    )


def _jobs(alertmanager: str) -> list[dict[str, Any]]:
    pods = scrape_configs(discovery=_PODS, interval=INTERVAL)
    # Rules about the watching itself read what the two tell of themselves.
    return [*pods, *server_scrape_configs({"prometheus": PROMETHEUS_ADDRESS, "alertmanager": alertmanager})]
