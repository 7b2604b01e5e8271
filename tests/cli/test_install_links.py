"""Where the links of notifications and boards lead is named once at the installation, and an upgrade keeps it."""

from typing import Any

import yaml

from actions_gateway.api import labels
from actions_gateway.installation.monitoring import PROMETHEUS_RULE
from actions_gateway.kube.resources import PROMETHEUSRULES
from gw.ops.installation.request import InstallWishes, check_wishes
from gw.sources.settings import InstalledSettings
from gw_alerts.cases.templates import with_branches_taken

from .installing import IMAGE, Install

RUNBOOKS = "https://docs.example.com/actions-gateway"
GRAFANA = "https://grafana.example.com"
LINKS = ("--runbook-url", RUNBOOKS, "--grafana-url", GRAFANA)


def rule_of(answer: str) -> dict[str, Any]:
    (rule,) = [each for each in yaml.safe_load_all(answer) if each["kind"] == PROMETHEUSRULES.kind]
    return dict(rule)


def urls(rule: dict[str, Any], annotation: str) -> set[str]:
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"] if "alert" in each]
    return {each["annotations"][annotation] for each in rules if annotation in each["annotations"]}


def test_pages_and_boards_are_linked_where_they_are_published(install: Install) -> None:
    rule = rule_of(install("--export", "--monitoring", "with", *LINKS).out)
    pages, boards = urls(rule, "runbook_url"), urls(rule, "dashboard_url")
    assert pages
    assert all(url.startswith(f"{RUNBOOKS}/runbooks/alerts/") for url in pages)
    assert boards
    tenants = {with_branches_taken(url, {"namespace": "team-a"}) for url in boards}
    assert all(url.startswith(f"{GRAFANA}/d/actions-gateway-") for url in tenants)


def test_without_a_url_no_board_is_linked_and_a_page_is_named_by_its_path(install: Install) -> None:
    rule = rule_of(install("--export", "--monitoring", "with").out)
    assert urls(rule, "dashboard_url") == set()
    assert all(url.startswith("runbooks/alerts/") for url in urls(rule, "runbook_url"))
    assert "annotations" not in rule["metadata"]


def test_an_upgrade_keeps_the_links_of_the_installed_rules(install: Install) -> None:
    cluster = install.gw.cluster
    cluster.answers["/apis"] = {"groups": [{"name": "monitoring.coreos.com"}]}
    assert install("--yes", *LINKS).code == 0
    stored = cluster.objects[PROMETHEUSRULES.plural, "gmc-system", PROMETHEUS_RULE]
    assert stored["metadata"]["annotations"] == {labels.RUNBOOK_URL: RUNBOOKS, labels.GRAFANA_URL: GRAFANA}
    written = len(cluster.applied)
    again = install.gw("install", "--controller-image", IMAGE, "--yes")
    assert again.code == 0, again
    assert again.out.startswith("Nothing changed:")
    assert len(cluster.applied) == written


SELECTED = {"release": "kube-prometheus-stack", "team": "ci"}


def selected_by(install: Install) -> dict[str, dict[str, str]]:
    """The labels of what Prometheus selects, ours aside; by kind and name."""
    objects = install.gw.cluster.objects.values()
    return {
        f"{each['kind']} {each['metadata']['name']}": {
            key: value for key, value in each["metadata"]["labels"].items() if not key.startswith("app.kubernetes.io/")
        }
        for each in objects
        if str(each["apiVersion"]).startswith("monitoring.coreos.com/")
    }


def test_an_upgrade_keeps_the_labels_that_prometheus_selects_by_until_they_are_taken_away(install: Install) -> None:
    install.gw.cluster.answers["/apis"] = {"groups": [{"name": "monitoring.coreos.com"}]}
    asked = [text for key, value in SELECTED.items() for text in ("--monitoring-label", f"{key}={value}")]
    assert install("--yes", *asked).code == 0
    found = selected_by(install)
    assert len(found) == 4
    assert all(labels == SELECTED for labels in found.values())
    again = install("--yes", "--replicas", "3")
    assert again.code == 0, again
    assert selected_by(install) == found
    wishes = InstallWishes(controller_image=IMAGE, monitoring_labels=("",), allow_floating_tags=True)
    installed = InstalledSettings(monitoring_labels="release=kube-prometheus-stack")
    assert check_wishes(wishes).keeping(installed).monitoring_labels == ()


def test_what_is_no_label_is_refused_by_its_option(install: Install) -> None:
    answer = install("--export", "--monitoring-label", "release")
    assert answer.code == 2, answer
    assert "--monitoring-label: 'release' is not KEY=VALUE" in answer.err


def test_what_is_no_url_is_refused_by_its_option(install: Install) -> None:
    answer = install("--export", "--runbook-url", "docs")
    assert answer.code == 2, answer
    assert "--runbook-url" in answer.err
