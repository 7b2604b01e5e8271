"""A real Alertmanager with the routes that ship, their waits shortened: who is told what, and what stays silent."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.nodes.ports import PortAllocator
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.catalog import components, credentials, jobs, sessions, watching
from gw_alerts.model import Alert
from gw_alerts.routing import Receiver
from gw_alerts.values import Values
from support.components import require_alertmanager
from support.firing import CLUSTER, sent
from support.patience import HANG_SECONDS
from support.receivers import Delivery, Receivers, serve_receivers

HOST = configuration.HOST
WAITS = {"group_wait": "1500ms", "group_interval": "1s"}
"""In place of seconds and minutes, and long enough for a busy machine to hear of a cause first.

The pause before a repetition stays: whoever is told twice was told by mistake.
"""
ONCALL, TICKETS, DEAD_MAN, SECURITY = (
    each.value for each in (Receiver.ONCALL, Receiver.TICKETS, Receiver.DEAD_MAN, Receiver.SECURITY)
)
SLACK, PAGERDUTY, OPSGENIE = "slack", "pagerduty", "opsgenie"
OTHER = "red"
NAMELESS = {"labels": {"team": "somebody"}}

SCENARIOS: tuple[tuple[Alert, str, str], ...] = (
    # GitHub is down for one tenant; another one's sessions end for a reason of its own.
    (sessions.GITHUB_UNREACHABLE, CLUSTER, "github-a"),
    (sessions.NO_ACTIVE_SESSIONS, CLUSTER, "github-a"),
    (credentials.TOKEN_REFRESH_ERRORS, CLUSTER, "github-a"),
    (sessions.MESSAGE_POLL_ERRORS, CLUSTER, "github-a"),
    (sessions.NO_ACTIVE_SESSIONS, CLUSTER, "github-b"),
    # The agent is gone; in another cluster a tenant of the same name has its own trouble.
    (components.AGENT_DOWN, CLUSTER, "agent-a"),
    (sessions.NO_ACTIVE_SESSIONS, CLUSTER, "agent-a"),
    (jobs.RENEWJOB_ERRORS_ALERT, CLUSTER, "agent-a"),
    (sessions.EVENT_LOOP_LAG, CLUSTER, "agent-a"),
    (sessions.NO_ACTIVE_SESSIONS, OTHER, "agent-a"),
    # One cluster's manager is down.
    (components.MANAGER_DOWN, OTHER, ""),
    (components.GATEWAY_NOT_READY, OTHER, "manager-a"),
    (sessions.NO_ACTIVE_SESSIONS, OTHER, "manager-a"),
    (components.GATEWAY_NOT_READY, CLUSTER, "manager-a"),
    # A tenant is paused: nobody is told what follows from that, and everybody what does not.
    (components.TENANT_PAUSED, CLUSTER, "paused-a"),
    (sessions.JOB_ACQUISITION_STALLED, CLUSTER, "paused-a"),
    (components.GATEWAY_NOT_READY, CLUSTER, "paused-a"),
    (jobs.RENEWJOB_ERRORS_ALERT, CLUSTER, "paused-a"),
    (jobs.POD_CREATION_P99, CLUSTER, "latency-a"),
    (jobs.POD_CREATION_P95, CLUSTER, "latency-a"),
    (jobs.POD_CREATION_P95, CLUSTER, "latency-b"),
    # Everything that silences, and abuse.
    (sessions.GITHUB_UNREACHABLE, CLUSTER, "abuse-a"),
    (components.AGENT_DOWN, CLUSTER, "abuse-a"),
    (components.TENANT_PAUSED, CLUSTER, "abuse-a"),
    (credentials.TOKEN_REFRESH_ABUSE, CLUSTER, "abuse-a"),
    # Two at once of one tenant, and of tenants that have the name or the cluster alone in common.
    (components.AGENT_OOM_KILLED, CLUSTER, "group-a"),
    (credentials.RATE_LIMITED, CLUSTER, "group-a"),
    (components.AGENT_OOM_KILLED, CLUSTER, "group-b"),
    (components.AGENT_OOM_KILLED, OTHER, "group-a"),
    (watching.WATCHDOG, CLUSTER, ""),
    (watching.WATCHDOG, OTHER, ""),
)


@dataclass(frozen=True)
class Site:
    """A running Alertmanager, and those whom it tells."""

    url: str
    values: Values
    receivers: Receivers

    def post(self, alerts: Iterable[dict[str, Any]]) -> None:
        httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts), timeout=HANG_SECONDS).raise_for_status()

    def send(self, alert: Alert, cluster: str, namespace: str, *, is_over: bool = False) -> None:
        ended = {"endsAt": datetime.now(UTC).isoformat()} if is_over else {}
        self.post([{**sent(alert, links=self.values.links, cluster=cluster, namespace=namespace), **ended}])

    def told(self, receiver: str, namespace: str, cluster: str = CLUSTER) -> list[Delivery]:
        return self.receivers.told(receiver, cluster=cluster, namespace=namespace)

    def names(self, receiver: str, namespace: str, cluster: str = CLUSTER) -> list[set[str]]:
        """The alerts of each notification."""
        return [each.names for each in self.told(receiver, namespace, cluster)]

    def let_pass(self, namespace: str) -> None:
        """Returns when what was posted before has been told, or never will be: what is posted now is told after it."""
        for alert, receiver in ((components.AGENT_OOM_KILLED, ONCALL), (jobs.QUOTA_SATURATED, TICKETS)):
            self.send(alert, CLUSTER, namespace)
            self.receivers.wait_for(lambda receiver=receiver: self.told(receiver, namespace))


def values_for(url: str, folder: Path) -> Values:
    (hook := folder / "slack-url").write_text(f"{url}/{SLACK}")
    (key := folder / "key").write_text("a-key")
    webhooks = {name: {"webhook": [{"url": f"{url}/{name}"}]} for name in (ONCALL, TICKETS, DEAD_MAN, SECURITY)}
    webhooks[ONCALL] |= {
        "slack": [{"channel": "#ci", "api_url_file": str(hook)}],
        "pagerduty": [{"routing_key_file": str(key), "url": f"{url}/{PAGERDUTY}"}],
        "opsgenie": [{"api_key_file": str(key), "api_url": f"{url}/{OPSGENIE}"}],
    }
    return Values.model_validate(
        {
            "cluster": CLUSTER,
            "runbooks": "https://docs.example.com",
            "grafana": "https://grafana.example.com",
            "receivers": webhooks,
        }
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Has been sent everything at once, and had the time to tell it."""
    program, folder = require_alertmanager(), tmp_path_factory.mktemp("routes")
    port = PortAllocator(HOST, random.Random()).take()
    with serve_receivers(HOST) as receivers:
        values = values_for(receivers.url, folder)
        settings = alertmanager_configuration(values)
        settings["route"] = hurried(settings["route"])
        (file := folder / "alertmanager.yml").write_text(configuration.render(settings))
        process = Process([program, *configuration.alertmanager_flags(folder, file, port)], folder / "log")
        try:
            here = Site(f"http://{HOST}:{port}", values, receivers)
            wait_until_ready(here, process)
            links = values.links
            here.post([NAMELESS, *(sent(each, links=links, cluster=c, namespace=n) for each, c, n in SCENARIOS)])
            for number in range(2):
                here.let_pass(f"passed-{number}")
            yield here
        finally:
            process.stop()


def hurried(route: dict[str, Any]) -> dict[str, Any]:
    return {**route, **WAITS, "routes": [hurried(each) for each in route.get("routes", [])]}


def wait_until_ready(site: Site, process: Process) -> None:
    """Asks until it answers; the transport's own retries are the pause."""
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=HANG_SECONDS) as client:
        while client.get(f"{site.url}/-/ready").status_code != httpx.codes.OK:
            process.require_running()


def test_github_s_outage_is_told_in_place_of_what_follows_and_of_that_tenant_alone(site: Site) -> None:
    assert site.names(ONCALL, "github-a") == [{sessions.GITHUB_UNREACHABLE.name}]
    assert site.names(TICKETS, "github-a") == []
    assert site.names(ONCALL, "github-b") == [{sessions.NO_ACTIVE_SESSIONS.name}]


def test_a_lost_agent_is_told_in_place_of_what_follows_and_of_that_cluster_alone(site: Site) -> None:
    assert site.names(ONCALL, "agent-a") == [{components.AGENT_DOWN.name}]
    assert site.names(TICKETS, "agent-a") == []
    assert site.names(ONCALL, "agent-a", OTHER) == [{sessions.NO_ACTIVE_SESSIONS.name}]


def test_a_lost_manager_silences_tickets_of_its_cluster_and_no_page(site: Site) -> None:
    told = [each for each in site.receivers.told(TICKETS, cluster=OTHER) if "namespace" not in each.group]
    assert [each.names for each in told] == [{components.MANAGER_DOWN.name}]
    assert site.names(TICKETS, "manager-a", OTHER) == []
    assert site.names(ONCALL, "manager-a", OTHER) == [{sessions.NO_ACTIVE_SESSIONS.name}]
    assert site.names(TICKETS, "manager-a", CLUSTER) == [{components.GATEWAY_NOT_READY.name}]


def test_of_a_paused_tenant_nobody_is_told_but_what_hurts_its_jobs(site: Site) -> None:
    assert site.names(TICKETS, "paused-a") == []
    assert site.names(ONCALL, "paused-a") == [{jobs.RENEWJOB_ERRORS_ALERT.name}]


def test_the_page_on_latency_silences_the_ticket_of_the_same_tenant_only(site: Site) -> None:
    assert site.names(ONCALL, "latency-a") == [{jobs.POD_CREATION_P99.name}]
    assert site.names(TICKETS, "latency-a") == []
    assert site.names(TICKETS, "latency-b") == [{jobs.POD_CREATION_P95.name}]


def test_abuse_is_never_silenced_and_reaches_both(site: Site) -> None:
    causes = {sessions.GITHUB_UNREACHABLE.name, components.AGENT_DOWN.name}
    assert site.names(SECURITY, "abuse-a") == [{credentials.TOKEN_REFRESH_ABUSE.name}]
    assert site.names(ONCALL, "abuse-a") == [{credentials.TOKEN_REFRESH_ABUSE.name, *causes}]


def test_security_is_told_nothing_but_abuse(site: Site) -> None:
    assert {name for each in site.receivers.told(SECURITY) for name in each.names} == {
        credentials.TOKEN_REFRESH_ABUSE.name
    }


def test_one_tenant_s_alerts_are_one_notification_and_two_tenants_two(site: Site) -> None:
    both = {components.AGENT_OOM_KILLED.name, credentials.RATE_LIMITED.name}
    assert site.names(ONCALL, "group-a") == [both]
    assert site.names(ONCALL, "group-b") == site.names(ONCALL, "group-a", OTHER) == [{components.AGENT_OOM_KILLED.name}]


def test_each_cluster_has_a_switch_of_its_own_and_only_somebody_outside_hears_it(site: Site) -> None:
    assert {each.group["cluster"] for each in site.receivers.told(DEAD_MAN)} == {CLUSTER, OTHER}
    switched = {each.receiver for name in (ONCALL, TICKETS, SECURITY) for each in site.receivers.told(name)
                if watching.WATCHDOG.name in each.names}  # fmt: skip
    assert switched == set()


def test_what_no_route_knows_is_a_ticket(site: Site) -> None:
    told = [each for each in site.receivers.told(TICKETS) if each.group == {}]
    assert [alert["labels"] for each in told for alert in each.body["alerts"]] == [NAMELESS["labels"]]


def test_the_end_of_an_alert_is_told_once(site: Site) -> None:
    namespace = "resolved-a"
    site.send(sessions.NO_ACTIVE_SESSIONS, CLUSTER, namespace)
    site.receivers.wait_for(lambda: site.told(ONCALL, namespace))
    site.send(sessions.NO_ACTIVE_SESSIONS, CLUSTER, namespace, is_over=True)
    site.receivers.wait_for(lambda: len(site.told(ONCALL, namespace)) == 2)
    site.let_pass("passed-after")
    assert [each.status for each in site.told(ONCALL, namespace)] == ["firing", "resolved"]


def test_what_was_silenced_is_told_when_its_cause_ends_before_it(site: Site) -> None:
    namespace = "cause-ends"
    for alert in (components.AGENT_DOWN, sessions.NO_ACTIVE_SESSIONS):
        site.send(alert, CLUSTER, namespace)
    site.receivers.wait_for(lambda: site.told(ONCALL, namespace))
    site.send(components.AGENT_DOWN, CLUSTER, namespace, is_over=True)
    site.receivers.wait_for(lambda: site.names(ONCALL, namespace)[-1] == {sessions.NO_ACTIVE_SESSIONS.name})
    site.receivers.wait_for(lambda: chats(site, f"PAGE {CLUSTER} {namespace}: No session"))
    assert site.names(ONCALL, namespace)[0] == {components.AGENT_DOWN.name}
    assert [
        attachment["actions"][0]["url"] for attachment in chats(site, f"PAGE {CLUSTER} {namespace}: No session")
    ] == [site.values.links.page(sessions.NO_ACTIVE_SESSIONS.page, sessions.NO_ACTIVE_SESSIONS.anchor)], (
        "the button leads to what still fires"
    )


def chats(site: Site, title: str) -> list[dict[str, Any]]:
    """What was said in the chat under a title that begins so."""
    said = [attachment for each in site.receivers.told(SLACK) for attachment in each.body["attachments"]]
    return [each for each in said if each["title"].startswith(title)]


def pagerduty(site: Site, namespace: str) -> dict[str, Any]:
    """What the pager shows of a tenant; it is told beside the others, so perhaps after them."""

    def events() -> list[dict[str, Any]]:
        told = [each.body for each in site.receivers.told(PAGERDUTY)]
        return [each for each in told if each["payload"]["summary"].startswith(f"PAGE {CLUSTER} {namespace}: ")]

    site.receivers.wait_for(events)
    (event,) = events()
    return event


def test_a_message_says_whom_it_is_about_what_it_means_and_where_to_begin(site: Site) -> None:
    event = pagerduty(site, "github-b")
    alert = sessions.NO_ACTIVE_SESSIONS
    summary = "No session is open for github-b/a-runner_group"
    assert event["payload"]["summary"] == f"PAGE {CLUSTER} github-b: {summary}"
    assert event["payload"]["severity"] == "critical"
    lines = event["payload"]["custom_details"]["firing"].strip().splitlines()
    runbook = site.values.links.page(alert.page, alert.anchor)
    assert lines[:4] == [
        f"{summary} ({alert.name})",
        f"Impact: {alert.arms[0].description}",
        f"Begin with: gw health github-b --check {alert.arms[0].checks[0]}",
        f"Runbook: {runbook}",
    ]
    assert lines[4].startswith("Dashboard: https://grafana.example.com/d/")
    links = {each["text"]: each["href"] for each in event["links"]}
    assert links["Runbook"] == runbook
    assert lines[5] == f"Silence: {links['Silence']}"


def test_the_link_to_a_silence_names_the_alert_and_its_tenant(site: Site) -> None:
    (silence,) = [each["href"] for each in pagerduty(site, "github-b")["links"] if each["text"] == "Silence"]
    page, _, matchers = silence.partition("#/silences/new?filter=")
    assert httpx.URL(page).host
    wanted = {"cluster": CLUSTER, "namespace": "github-b", "alertname": sessions.NO_ACTIVE_SESSIONS.name}
    assert unquote(matchers) == "{" + ",".join(f'{name}="{value}"' for name, value in wanted.items()) + "}"


def test_a_message_of_two_alerts_tells_each(site: Site) -> None:
    event = pagerduty(site, "group-a")
    assert event["payload"]["summary"] == f"PAGE {CLUSTER} group-a: The agent of group-a ran out of memory, and 1 more"
    text = event["payload"]["custom_details"]["firing"]
    for alert in (components.AGENT_OOM_KILLED, credentials.RATE_LIMITED):
        assert f"({alert.name})" in text
        assert f"Runbook: {site.values.links.page(alert.page, alert.anchor)}" in text


def test_chat_and_the_other_pager_say_the_same(site: Site) -> None:
    event = pagerduty(site, "github-b")
    title, text = event["payload"]["summary"], event["payload"]["custom_details"]["firing"]
    site.receivers.wait_for(lambda: chats(site, title))
    (chat,) = chats(site, title)
    assert chat["text"] == text
    assert [each["text"] for each in chat["actions"]] == ["Runbook", "Dashboard", "Silence"]

    def calls() -> list[dict[str, Any]]:
        return [each.body for each in site.receivers.told(OPSGENIE) if each.body.get("message") == title]

    site.receivers.wait_for(calls)
    (alert,) = calls()
    assert (alert["description"], alert["priority"]) == (text, "P1")


def test_the_end_is_told_in_words(site: Site) -> None:
    namespace = "resolved-b"
    site.send(sessions.NO_ACTIVE_SESSIONS, CLUSTER, namespace)
    site.receivers.wait_for(lambda: site.told(ONCALL, namespace))
    site.send(sessions.NO_ACTIVE_SESSIONS, CLUSTER, namespace, is_over=True)

    title = f"RESOLVED {CLUSTER} {namespace}: "
    site.receivers.wait_for(lambda: chats(site, title))
    (message,) = chats(site, title)
    summary = f"No session is open for {namespace}/a-runner_group"
    assert message["text"].strip() == f"Resolved:\n{summary} ({sessions.NO_ACTIVE_SESSIONS.name})"
