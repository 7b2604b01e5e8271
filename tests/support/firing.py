"""Alerts as a Prometheus sends them: the labels that their rules give them, and those of what they are about."""

from typing import Any

from gw_alerts.cases.templates import with_branches_taken
from gw_alerts.model import Alert, Arm, Links

NAMESPACE = "team-a"
CLUSTER = "blue"


def labels_of(
    alert: Alert, arm: Arm | None = None, *, cluster: str = CLUSTER, namespace: str = NAMESPACE
) -> dict[str, str]:
    """Of one instance; `cluster` is the Prometheus's external label, so every alert has it."""
    about = {name: f"a-{name}" for name in alert.grouping} | {"namespace": namespace}
    own = {name: value for name, value in about.items() if name in alert.grouping and name != "cluster"}
    return {"alertname": alert.name, "cluster": cluster, **alert.static_labels(arm or alert.arms[0]), **own}


def annotations_of(alert: Alert, labels: dict[str, str], links: Links) -> dict[str, str]:
    """With the labels filled in; a value is left as its rule writes it."""
    annotations: dict[str, str] = alert.rules(links)[0]["annotations"]
    return {name: _filled(text, labels) for name, text in annotations.items()}


def _filled(text: str, labels: dict[str, str]) -> str:
    text = with_branches_taken(text, labels)
    for name, value in labels.items():
        text = text.replace(f"{{{{ $labels.{name} }}}}", value)
    return text


def sent(alert: Alert, *, links: Links, cluster: str = CLUSTER, namespace: str = NAMESPACE) -> dict[str, Any]:
    """One entry of what is posted to Alertmanager."""
    labels = labels_of(alert, cluster=cluster, namespace=namespace)
    return {"labels": labels, "annotations": annotations_of(alert, labels, links)}
