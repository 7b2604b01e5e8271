"""The components' pods in the sandbox, and what they tell of their work: their ports are ports of the machine."""

import json
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from actions_gateway.api.names import AGENT
from actions_gateway.metrics.catalog import RECONCILE_TOTAL, Metric
from gateway_sandbox.nodes.ports import ANNOTATION


def agent_pods(sandbox: Any, namespace: str) -> list[dict[str, Any]]:
    """Of a tenant, without those that are on their way out."""
    return [
        pod
        for pod in sandbox.objects("pods", namespace)
        if pod["metadata"]["labels"].get("app") == AGENT and not pod["metadata"].get("deletionTimestamp")
    ]


def metrics_port(pod: dict[str, Any]) -> int:
    """Raises KeyError while the pod has no ports yet."""
    return int(json.loads(pod["metadata"]["annotations"][ANNOTATION])["metrics"])


def scrape(port: int) -> list[Sample]:
    """Raises OSError or HTTPException where nobody answers any more, or not to the end."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def total(samples: Sequence[Sample], metric: Metric, **labels: str) -> float:
    """Of all series that have the labels."""
    found = (sample for sample in samples if sample.name == metric.name)
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def total_of(pod: dict[str, Any], metric: Metric, **labels: str) -> float:
    """The same of a pod's present word; 0 of one that gives no answer."""
    try:
        return total(scrape(metrics_port(pod)), metric, **labels)
    except (KeyError, OSError, HTTPException):
        return 0.0


def has_reconciled(managers: list[dict[str, Any]]) -> bool:
    """Whether one of these managers has looked at a gateway to the end."""
    return any(total_of(pod, RECONCILE_TOTAL, result="success") > 0 for pod in managers)
