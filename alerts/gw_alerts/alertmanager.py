"""Alertmanager's configuration: the routes and inhibitions of the catalogue, the receivers of a values file."""

from collections.abc import Mapping
from typing import Any

from actions_gateway.manifests.yamltext import render_document
from gw_alerts.integrations import build_receivers
from gw_alerts.routing import INHIBITIONS, ROOT, ROUTES, Inhibition, Receiver, Route
from gw_alerts.values import Values

Configuration = dict[str, Any]


def alertmanager_configuration(values: Values) -> Configuration:
    """What Alertmanager reads; a receiver that the values do not have, and need not, has no route."""
    routes = [route for route in ROUTES if route.receiver in {*values.receivers, Receiver.NOBODY}]
    return {
        "route": {**_route(ROOT), "routes": [_route(route) for route in routes]},
        "inhibit_rules": [_inhibition(inhibition) for inhibition in INHIBITIONS],
        "receivers": build_receivers(values),
    }


def render_alertmanager(values: Values) -> str:
    """The configuration file."""
    return render_document(alertmanager_configuration(values))


def _route(route: Route) -> Configuration:
    return {
        "receiver": route.receiver.value,
        **({"matchers": _matchers(route.matchers)} if route.matchers else {}),
        "group_by": list(route.group_by),
        "group_wait": route.wait,
        "group_interval": route.interval,
        "repeat_interval": route.repeat,
        **({"continue": True} if route.continues else {}),
    }


def _inhibition(inhibition: Inhibition) -> Configuration:
    return {
        "source_matchers": _matchers({"alertname": inhibition.source.name}),
        "target_matchers": [*_matchers(inhibition.targets), *_matchers(inhibition.but, "!=")],
        "equal": list(inhibition.equal),
    }


def _matchers(labels: Mapping[str, str], operator: str = "=") -> list[str]:
    return [f'{name}{operator}"{value}"' for name, value in labels.items()]
