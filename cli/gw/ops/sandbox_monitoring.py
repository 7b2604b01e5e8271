"""What the sandbox's Prometheus and Alertmanager are handed: the rules and routes that ship, at a drill's pace."""

from actions_gateway.manifests.yamltext import render_document
from gw.errors import Refused
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.artefacts import RULES
from gw_alerts.rules import rule_groups
from gw_alerts.scaling import Pace, paced_alertmanager, paced_groups
from gw_alerts.values import REQUIRED, Destinations, Values, Webhook

_FASTEST = 100
"""Beyond it most windows are a few scrapes long already."""
_VALUES = Values(
    cluster="sandbox",
    # The sandbox puts its own addresses in their place.
    receivers={name: Destinations(webhook=(Webhook(url="http://receiver.invalid"),)) for name in REQUIRED},
)


def parse_pace(alert_speed: float) -> Pace:
    """How fast the time of alerts passes; raises Refused for what is no acceleration."""
    if not 1 <= alert_speed <= _FASTEST:
        raise Refused(
            f"--alert-speed {alert_speed:g} is not between 1 and {_FASTEST}",
            "Give how many times shorter alerts wait; 20 makes two minutes of six seconds.",
        )
    return Pace(alert_speed)


def render_rules(pace: Pace) -> dict[str, str]:
    """Rule files by name."""
    return {RULES: render_document({"groups": paced_groups(rule_groups(), pace)})}


def render_routes(pace: Pace) -> str:
    """Alertmanager's configuration."""
    return render_document(paced_alertmanager(alertmanager_configuration(_VALUES), pace))
