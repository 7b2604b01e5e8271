"""A values file that cannot be used is refused with its field and the next step, and what it holds is not repeated."""

import json
import traceback
from pathlib import Path

import pytest

from gw_alerts.alertmanager import render_alertmanager
from gw_alerts.routing import Receiver
from gw_alerts.values import EXAMPLE_FILE, REQUIRED, ValuesError, load_values, parse_values

SECRET = "R0Zl5planted/secret"
HOOK = "webhook: [{url: https://hook.example.com/a}]"


def text(oncall: str = HOOK, *, tickets: str = HOOK, more: str = "", cluster: str = "blue") -> str:
    return (
        f"cluster: {cluster}\n{more}\nreceivers:\n"
        f"  oncall-sre: {{{oncall}}}\n  tickets: {{{tickets}}}\n  dead-man: {{{HOOK}}}\n"
    )


MAIL = "to: a@example.com, from: b@example.com, smarthost: 'mail.example.com:587'"

REFUSED = {
    "a receiver is missing": (
        f"cluster: blue\nreceivers:\n  oncall-sre: {{{HOOK}}}\n  tickets: {{{HOOK}}}\n",
        "receivers.dead-man",
        "is missing",
        "Say whom it tells",
    ),
    "no receiver at all": ("cluster: blue\n", "receivers", "is missing", "Add it"),
    "no cluster": (f"receivers: {{oncall-sre: {{{HOOK}}}}}\n", "cluster", "is missing", "Add it"),
    "an unknown key": (text(more="clutser: x"), "clutser", "is not known", "Correct its name"),
    "an unknown receiver": (
        text(more="") + f"  on-call: {{{HOOK}}}\n",
        "receivers.on-call",
        "no receiver",
        "oncall-sre",
    ),
    "nobody told": (text() + f"  nobody: {{{HOOK}}}\n", "receivers.nobody", "tells nobody", "Remove it"),
    "a receiver without a destination": (text(""), "receivers.oncall-sre", "tells nobody", "Add one of webhook"),
    "a pager without its key": (
        text("pagerduty: [{}]"),
        "receivers.oncall-sre.pagerduty.0.routing_key_file",
        "is missing",
        "Write the secret to a file",
    ),
    "a chat without its secret": (
        text("slack: [{channel: '#ci'}]"),
        "receivers.oncall-sre.slack.0.api_url_file",
        "is missing",
        "Write the secret to a file",
    ),
    "mail without its password": (
        text(f"email: [{{{MAIL}, auth_username: gw}}]"),
        "receivers.oncall-sre.email.0.auth_password_file",
        "is missing",
        "Write the secret to a file",
    ),
    "mail without its user": (
        text(f"email: [{{{MAIL}, auth_password_file: /run/secrets/smtp}}]"),
        "receivers.oncall-sre.email.0.auth_username",
        "is missing",
        "Add the name",
    ),
    "a secret in the file": (
        text(f"pagerduty: [{{routing_key_file: /run/secrets/key, routing_key: {SECRET}}}]"),
        "receivers.oncall-sre.pagerduty.0.routing_key",
        "would be a secret in the file",
        "as routing_key_file",
    ),
    "a secret in place of its file's name": (
        text(f"opsgenie: [{{api_key_file: {SECRET}}}]"),
        "receivers.oncall-sre.opsgenie.0.api_key_file",
        "no absolute path",
        "Write the secret to a file",
    ),
    "a password in an address": (
        text(f"webhook: [{{url: 'https://user:{SECRET.replace('/', '')}@hook.example.com/a'}}]"),
        "receivers.oncall-sre.webhook.0.url",
        "may hold a secret",
        "secrets are given as files",
    ),
    "a token in an address": (
        text(f"webhook: [{{url: 'https://hook.example.com/a?token={SECRET}'}}]"),
        "receivers.oncall-sre.webhook.0.url",
        "may hold a secret",
        "secrets are given as files",
    ),
    "a link without a host": (text(more="runbooks: docs/pages"), "runbooks", "is no URL", "https://host/path"),
    "a link with a broken port": (text(more="grafana: 'https://a.example.com:x/'"), "grafana", "is no URL", "https://"),
    "a port that no host has": (
        text(more="grafana: 'https://a.example.com:65536/'"),
        "grafana",
        "is no URL",
        "https://",
    ),
    "a port of nought": (text(more="grafana: 'https://a.example.com:0/'"), "grafana", "is no URL", "https://"),
    "an address within a host": (text(more="grafana: 'https://a[::1]/'"), "grafana", "is no URL", "https://"),
    "an escape in a host": (text(more="grafana: 'https://a%41.example.com/'"), "grafana", "is no URL", "https://"),
    **{
        f"{name} in an address": (
            text(f"webhook: [{{url: {json.dumps(url)}}}]"),
            "receivers.oncall-sre.webhook.0.url",
            "another character that no URL may have",
            "Give it as https://host/path",
        )
        for name, url in {
            "a blank in a host": "https://hook example.com/a",
            "a blank": "https://hook.example.com/a b",
            "a blank of no width": "https://hook.example.com/a\u200bb",
            "a blank behind": "https://hook.example.com/a ",
            "an end of line": "https://hook.example.com/a\n",
            "a tabulator": "https://hook.\texample.com/a",
            "a control character": "https://hook.example.com/a\x7f",
            "half an escape": "https://hook.example.com/%zz",
            "a template": "https://hook.example.com/{{ .x }}",
            "a backslash": "https://hook.example.com\\a",
        }.items()
    },
    **{
        f"{address} as an address of Alertmanager": (
            text(more=f"alertmanager: {{address: '{address}'}}"),
            "alertmanager.address",
            "is no host with a port",
            "a port from 1 to 65535",
        )
        for address in ("h:99999", "h:65536", "h:0", "h", "h:", ":9093", "a b:9093", "http://h:9093", "h:9093\n\n")
    },
    "a mail server without a port that can be": (
        text(f"email: [{{{MAIL.replace(':587', ':0')}}}]"),
        "receivers.oncall-sre.email.0.smarthost",
        "is no host with a port",
        "as host.example.com:587",
    ),
    "a webhook with both addresses": (
        text("webhook: [{url: https://hook.example.com/a, url_file: /run/secrets/url}]"),
        "receivers.oncall-sre.webhook.0",
        "either url or url_file",
        "url_file where",
    ),
    "a webhook with neither": (
        text("webhook: [{credentials_file: /run/secrets/token}]"),
        "receivers.oncall-sre.webhook.0",
        "either url or url_file",
        "url_file where",
    ),
    "an Alertmanager too old for it": (
        text("webhook: [{url_file: /run/secrets/url}]"),
        "receivers.oncall-sre.webhook.0.url_file",
        "is not read by Alertmanager 0.25",
        "0.26 or newer",
    ),
    "an Alertmanager too old for us": (
        text(more="alertmanager: {version: '0.24'}"),
        "alertmanager.version",
        "too old",
        "0.25 or newer",
    ),
    "a version that is a number": (
        text(more="alertmanager: {version: 0.28}"),
        "alertmanager.version",
        "should be a valid string",
        "shows its form",
    ),
    "a cluster with a space": (text(cluster="a b"), "cluster", "should match pattern", "shows its form"),
    "a label that no object may have": (
        text(more="monitoring: {labels: {release: a b}}"),
        "monitoring.labels",
        "no label may have",
        "release: kube-prometheus-stack",
    ),
    "a label of our own": (
        text(more="monitoring: {labels: {app.kubernetes.io/part-of: x}}"),
        "monitoring.labels",
        "one of this project's own",
        "release: kube-prometheus-stack",
    ),
    "a label that is a number": (
        text(more="monitoring: {labels: {1: x}}"),
        "monitoring.labels.1",
        "should be a valid string",
        "shows its form",
    ),
    "a list in place of keys": ("- cluster", "values", "has no keys", "Start from"),
    "an empty file": ("", "values", "has no keys", "Start from"),
    "no YAML": ("cluster: [blue\nreceivers: {", "values", "is not YAML in line 2", "Correct that line"),
    "a control character": ("cluster: \x00", "values", "is not YAML", "Compare"),
    "a receiver twice": (text() + f"  tickets: {{{HOOK}}}\n", "values", "has a key twice in line 7", "Keep one"),
    "an alias that nobody defined": (
        f"cluster: blue\nrunbooks: *{SECRET.replace('/', '')}\n",
        "values",
        "is not YAML in line 2",
        "Correct that line",
    ),
    "a tag that nobody knows": (
        f"cluster: blue\nrunbooks: !{SECRET}\n",
        "values",
        "is not YAML in line 2",
        "Correct that line",
    ),
    "a day that no month has": ("cluster: 2026-02-31\n", "values", "is not YAML", "Compare"),
    "a secret in place of its file": (
        text(f"pagerduty: [{{routing_key: {SECRET}}}]"),
        "receivers.oncall-sre.pagerduty.0.routing_key",
        "would be a secret in the file",
        "as routing_key_file",
    ),
    "a secret behind another mistake": (
        text(f"opsgenie: [{{api_key: {SECRET}}}]", more="clutser: x"),
        "receivers.oncall-sre.opsgenie.0.api_key",
        "would be a secret in the file",
        "as api_key_file",
    ),
}


@pytest.mark.parametrize(("content", "field", "message", "next_step"), REFUSED.values(), ids=list(REFUSED))
def test_it_is_refused_and_says_what_to_do(content: str, field: str, message: str, next_step: str) -> None:
    with pytest.raises(ValuesError) as refused:
        parse_values(content)
    problem = refused.value
    assert problem.field == field
    assert message in problem.message
    assert next_step in problem.next_step
    assert str(problem) == f"{problem.field} {problem.message}. {problem.next_step}"
    assert SECRET.partition("/")[0] not in "".join(traceback.format_exception(problem))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        "https://[::1]:65535/a",
        "https://münchen.example.com/ü/a%20b",
        "https://h_1.example.com/~a/(b);c=1,2!$&'*+@:x[1]",
    ],
)
def test_an_address_that_can_be_is_taken_as_it_is(url: str) -> None:
    values = parse_values(text(f"webhook: [{{url: {json.dumps(url)}}}]", more=f"grafana: {json.dumps(url)}"))
    assert (values.grafana, values.receivers[Receiver.ONCALL].webhook[0].url) == (url, url)


@pytest.mark.parametrize("address", ["localhost:1", "10.0.0.1:65535"])
def test_the_first_and_the_last_port_are_taken(address: str) -> None:
    assert parse_values(text(more=f"alertmanager: {{address: '{address}'}}")).alertmanager.address == address


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(ValuesError, match="cannot be read") as refused:
        load_values(path)
    assert refused.value.field == str(path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "values.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValuesError, match="not text in UTF-8"):
        load_values(path)


def test_the_example_has_every_receiver_and_every_secret_is_a_path() -> None:
    values = load_values(EXAMPLE_FILE)
    assert set(values.receivers) == {*REQUIRED, Receiver.SECURITY}
    named = [line.split(": ", 1)[1] for line in render_alertmanager(values).splitlines() if "_file: " in line]
    assert named
    assert all(path.startswith("/") for path in named)


def test_links_are_where_the_values_say() -> None:
    links = load_values(EXAMPLE_FILE).links
    assert links.page("runbooks/alerts/renewjob.md", "a") == (
        "https://docs.example.com/actions-gateway/runbooks/alerts/renewjob.md#a"
    )
    assert parse_values(text()).links.page("runbooks/alerts/renewjob.md", "a") == "runbooks/alerts/renewjob.md#a"
