"""Which Service is asked, and how answers of Prometheus and Alertmanager become facts."""

import json
import math
from typing import Any

import pytest

from gw.sources import series as s
from gw.sources.discovery import Found, choose_service
from gw.sources.endpoints import PROMETHEUS, Endpoint, NoAnswer, Reply
from gw.sources.loadedrules import worst_health
from gw.sources.prometheus import Prometheus
from gw.sources.series import gather_series
from support.aio import run
from support.clock import START
from support.monitoring import PrometheusDouble


def service(name: str, *ports: tuple[str, int], namespace: str = "monitoring") -> dict[str, Any]:
    entries = [{"name": port_name, "port": number} for port_name, number in ports]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": entries}}


@pytest.mark.parametrize(
    ("services", "chosen"),
    [
        ([], None),
        ([service("a")], None),
        ([service("a", ("web", 80))], ("a", 80, False)),
        ([service("a", ("grpc", 10901), ("web", 8080))], ("a", 8080, False)),
        ([service("a", ("web", 80)), service("b", ("x", 9090))], ("b", 9090, False)),
        ([service("a", ("reloader-web", 8080), ("web", 9090))], ("a", 9090, False)),
        ([service("a", ("metrics", 1)), service("b", ("http", 80))], ("b", 80, False)),
        ([service("b", ("web", 9090)), service("a", ("web", 9090))], ("a", 9090, False)),
        ([service("a", ("https-web", 9090))], ("a", 9090, True)),
        ([service("a", ("x", 443))], ("a", 443, True)),
    ],
    ids=[
        "no Service",
        "a Service without a port",
        "the port that is named web",
        "not the sidecar's port",
        "the product's own port before a name",
        "not the reloader's port",
        "a known name before an unknown one",
        "the first by name of equals",
        "TLS by the port's name",
        "TLS by the port's number",
    ],
)
def test_the_chosen_service_is(services: list[Any], chosen: tuple[str, int, bool] | None) -> None:
    for order in (services, services[::-1]):
        found = choose_service(order, 9090)
        assert (None if found is None else (found.name, found.port, found.is_https)) == chosen


def test_the_path_through_the_api_server_names_the_scheme_only_for_tls() -> None:
    plain, secure = Found("ns", "prometheus", 9090), Found("ns", "prometheus", 443, is_https=True)
    assert plain.proxy_path == "/api/v1/namespaces/ns/services/prometheus:9090/proxy"
    assert secure.proxy_path == "/api/v1/namespaces/ns/services/https:prometheus:443/proxy"


def endpoint(data: Any) -> Endpoint:
    async def send(path: str, query: Any) -> Reply:
        return Reply(200, json.dumps({"status": "success", "data": data}).encode())

    return Endpoint(PROMETHEUS, "here", send)


def test_a_rule_that_is_loaded_twice_is_as_ill_as_its_worse_copy_and_recording_rules_are_none() -> None:
    def rule(name: str, health: str, kind: str = "alerting") -> dict[str, str]:
        return {"name": name, "health": health, "type": kind}

    rules = [[rule("A", "ok"), rule("B", "unknown"), rule("r", "ok", "recording")], [rule("A", "err"), rule("B", "ok")]]
    data = {"groups": [{"name": "g", "rules": each} for each in rules]}
    assert worst_health(run(Prometheus(endpoint(data)).alert_rules())) == {"A": "err", "B": "unknown"}


def test_special_numbers_are_numbers() -> None:
    entries = [{"metric": {"n": text}, "value": [0, text]} for text in ("NaN", "+Inf", "-Inf", "1e3")]
    samples = run(Prometheus(endpoint({"resultType": "vector", "result": entries})).query("x"))
    found = {sample.labels["n"]: sample.value for sample in samples}
    assert math.isnan(found.pop("NaN"))
    assert found == {"+Inf": math.inf, "-Inf": -math.inf, "1e3": 1000.0}


@pytest.mark.parametrize("data", [None, [], {"activeTargets": 3}, {"resultType": "vector", "result": [{"metric": 1}]}])
def test_an_answer_of_another_shape_is_nobodys(data: Any) -> None:
    for question in (Prometheus(endpoint(data)).query("x"), Prometheus(endpoint(data)).targets()):
        with pytest.raises(NoAnswer, match="another shape"):
            run(question)


def test_every_query_is_asked_once_and_told_apart_by_cluster() -> None:
    double = PrometheusDouble(
        lambda: [
            {"kind": "ActionsGateway", "metadata": {"namespace": "team-a", "name": "ci", "uid": "u"}},
            {"kind": "RunnerGroup", "metadata": {"namespace": "team-a", "name": "ci-cpu"}},
        ],
        cluster="prod-eu",
    )

    async def send(path: str, query: Any) -> Reply:
        return Reply(*double.answer(path, query))

    fact = run(gather_series(Endpoint(PROMETHEUS, "here", send)))
    assert len(double.asked) == len(s.QUERIES)
    assert fact.at == START
    assert fact.gateways == {("prod-eu", "u"): "team-a/ci"}
    assert fact.values[s.LOCK_LEFT] == {("prod-eu", "team-a", "ci-cpu"): 590.0}


def test_names_of_queries_are_unique() -> None:
    assert len({query.name for query in s.QUERIES}) == len({query.expression for query in s.QUERIES}) == len(s.QUERIES)
