"""Receivers of an Alertmanager configuration, from a values file: each way to tell somebody, with our texts in it.

Keys: Alertmanager documentation, "Configuration"; those used here are read by 0.25 and later, but for a webhook's
`url_file` (0.26), which values refuse for older ones.
"""

from typing import Any

from gw_alerts import messages
from gw_alerts.routing import Receiver
from gw_alerts.values import Destinations, Email, Opsgenie, PagerDuty, Slack, Values, Webhook

Configuration = dict[str, Any]


def build_receivers(values: Values) -> list[Configuration]:
    """Every receiver that the values name, and the one that tells nobody."""
    told = [
        _receiver(receiver, values.receivers[receiver], values) for receiver in Receiver if _is_told(receiver, values)
    ]
    return [*told, {"name": Receiver.NOBODY.value}]


def _is_told(receiver: Receiver, values: Values) -> bool:
    return receiver in values.receivers


def _receiver(receiver: Receiver, destinations: Destinations, values: Values) -> Configuration:
    # A heartbeat is not "resolved": it is heard, or it is not.
    common = {"send_resolved": receiver is not Receiver.DEAD_MAN}
    ways: dict[str, list[Configuration]] = {
        "webhook_configs": [_webhook(each) for each in destinations.webhook],
        "pagerduty_configs": [_pagerduty(each, values) for each in destinations.pagerduty],
        "slack_configs": [_slack(each, values) for each in destinations.slack],
        "email_configs": [_email(each) for each in destinations.email],
        "opsgenie_configs": [_opsgenie(each) for each in destinations.opsgenie],
    }
    told = {kind: [{**common, **each} for each in built] for kind, built in ways.items() if built}
    return {"name": receiver.value, **told}


def _webhook(webhook: Webhook) -> Configuration:
    """Its JSON is Alertmanager's own and holds all annotations."""
    client: Configuration = {}
    if webhook.credentials_file:
        client["authorization"] = {"credentials_file": webhook.credentials_file}
    if webhook.ca_file:
        client["tls_config"] = {"ca_file": webhook.ca_file}
    return _given(url=webhook.url, url_file=webhook.url_file, http_config=client)


def _pagerduty(service: PagerDuty, values: Values) -> Configuration:
    return {
        **_given(routing_key_file=service.routing_key_file, url=service.url),
        "description": messages.TITLE,
        "severity": messages.by_severity("critical", "warning"),
        "client": "Actions Gateway",
        "client_url": "{{ .ExternalURL }}",
        "component": "{{ .CommonLabels.part }}",
        "group": "{{ .GroupLabels.namespace }}",
        "class": "{{ .CommonLabels.alertname }}",
        "links": [{"href": href, "text": text} for text, href in _links(values)],
        "details": {"firing": messages.BODY},
    }


def _slack(hook: Slack, values: Values) -> Configuration:
    return {
        "api_url_file": hook.api_url_file,
        "channel": hook.channel,
        "title": messages.TITLE,
        "fallback": messages.TITLE,
        "text": messages.BODY,
        "actions": [{"type": "button", "text": text, "url": url} for text, url in _links(values)],
    }


def _email(mail: Email) -> Configuration:
    login = _given(auth_username=mail.auth_username, auth_password_file=mail.auth_password_file)
    return {
        "to": mail.to,
        "from": mail.sender,
        "smarthost": mail.smarthost,
        **login,
        "headers": {"Subject": messages.TITLE},
        # Text alone: commands are to be copied, and links are written out.
        "html": "",
        "text": messages.BODY,
    }


def _opsgenie(service: Opsgenie) -> Configuration:
    return {
        **_given(api_key_file=service.api_key_file, api_url=service.api_url),
        "message": messages.TITLE,
        "description": messages.BODY,
        "priority": messages.by_severity("P1", "P3"),
        "entity": "{{ .GroupLabels.namespace }}",
    }


def _links(values: Values) -> list[tuple[str, str]]:
    """Buttons; a page without an address in the web is named in the text alone."""
    pages = [("Runbook", messages.RUNBOOK)] if values.runbooks else []
    boards = [("Dashboard", messages.DASHBOARD)] if values.grafana else []
    return [*pages, *boards, ("Silence", messages.SILENCE)]


def _given(**settings: Any) -> Configuration:
    return {key: value for key, value in settings.items() if value}
