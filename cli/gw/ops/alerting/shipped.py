"""What this release wants of an Alertmanager, label for label, to hold a loaded configuration to; pure."""

from collections.abc import Iterator, Mapping

from gw_alerts.catalog import ALERTS
from gw_alerts.model import Alert, Scope
from gw_alerts.routing import ROUTES, Receiver, Route

Labels = Mapping[str, str]


def labels_of(alert: Alert, tenant: str, cluster: str) -> Iterator[Labels]:
    """Of each arm, as far as routes know them beforehand."""
    place = {"namespace": tenant} if alert.scope is Scope.TENANT else {}
    for arm in alert.arms:
        yield {
            "alertname": alert.name,
            **alert.static_labels(arm),
            **place,
            **({"cluster": cluster} if cluster else {}),
        }


def every_alert(tenants: tuple[str, ...], cluster: str) -> Iterator[tuple[Alert, Labels]]:
    """Each alert with its labels: those of a tenant for each of them."""
    for alert in ALERTS:
        for tenant in tenants if alert.scope is Scope.TENANT else ("",):
            for labels in labels_of(alert, tenant, cluster):
                yield alert, labels


def wanted_routes(labels: Labels, receivers: frozenset[Receiver]) -> list[Route]:
    """The shipped routes to these receivers that take an alert."""
    found = []
    for route in ROUTES:
        if route.receiver in receivers and all(labels.get(name) == value for name, value in route.matchers.items()):
            found.append(route)
            if not route.continues:
                break
    return found


def is_receiver(receiver: Receiver, name: str) -> bool:
    """Whether a loaded one is that: the operator puts namespace and name of its object before a receiver's."""
    return name == receiver.value or name.endswith(f"/{receiver.value}")
