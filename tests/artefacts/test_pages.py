"""What the pages name exists: metrics, events and the labels that their commands select by."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.manager.gateway.announcements import READY
from actions_gateway.metrics.catalog import CATALOG, Kind
from gw.checks.catalog import CATALOG as CHECKS
from gw.sources.endpoints import ALERTMANAGER, PROMETHEUS
from gw_alerts.thresholds import Severity
from support.manager_objects import children_of, gateway
from support.own_events import own_events

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "runbooks").rglob("*.md"), ROOT / "README.md"])
LIST_OF_REASONS = ROOT / "runbooks" / "procedures" / "conditions.md"

METRIC = re.compile(r"\bactions_gateway_\w+")
EVENT = re.compile(r"[Ee]vents? (?:say )?`?([A-Z]\w*[a-z]\w*[A-Z]\w+)")
REASON = re.compile(r"(?<=with the reason )`?(\w+)")
SELECTOR = re.compile(r"(?:-l |--selector[= ])([^\s`'\"]+)")

OF_MONITORING = {
    (selector.partition("=")[0], selector.partition("=")[2])
    for product in (PROMETHEUS, ALERTMANAGER)
    for selector in product.selectors
}
"""Labels by which gw finds the Services of other projects."""
OF_KUBERNETES = {("kubernetes.io/service-name", "kubernetes"), ("k8s-app", "kube-dns")}
"""Labels that the cluster's own objects have."""


def found(pattern: re.Pattern[str]) -> list[Any]:
    """Each word that a pattern finds, with the name of the page."""
    return [
        pytest.param(word, id=f"{page.stem} {word}")
        for page in PAGES
        for word in sorted(set(pattern.findall(page.read_text(encoding="utf-8"))))
    ]


@pytest.mark.parametrize("name", found(METRIC))
def test_a_metric_is_in_the_catalogue(name: str) -> None:
    exported = {metric.name for metric in CATALOG}
    histograms = {metric.name for metric in CATALOG if metric.kind is Kind.HISTOGRAM}
    assert name in exported | {f"{one}_{part}" for one in histograms for part in ("bucket", "sum", "count")}


@pytest.mark.parametrize("reason", found(EVENT))
def test_an_event_is_one_that_code_writes(reason: str) -> None:
    assert reason in {*Reason, READY} | own_events()


@pytest.mark.parametrize("reason", [one for one in found(REASON) if one.values[0][0].isupper()])
def test_a_conditions_reason_is_of_the_vocabulary(reason: str) -> None:
    assert reason in {*Reason}


@pytest.mark.parametrize("reason", sorted(own_events()))
def test_an_event_that_is_no_condition_s_is_on_the_page_of_reasons(reason: str) -> None:
    assert f"`{reason}`" in LIST_OF_REASONS.read_text(encoding="utf-8")


def set_labels(manifest: Any) -> Iterator[tuple[str, str]]:
    """The labels of an object and of whatever it is a template for."""
    if isinstance(manifest, dict):
        metadata = manifest.get("metadata")
        yield from ((metadata or {}).get("labels") or {}).items() if isinstance(metadata, dict) else ()
        for value in manifest.values():
            yield from set_labels(value)


def known_labels() -> set[tuple[str, str]]:
    """What the manager's children, the installation, their pods and gw's records have, and what people put on
    namespaces."""
    manifests = [*children_of(gateway()).values(), *installation_manifests()]
    marks = {(labels.TENANT, labels.TENANT_MARK), (labels.METRICS_NAMESPACE, labels.METRICS_ENABLED)}
    marks |= {(labels.RECORD, labels.RECORD_HANDOVER)}
    return {pair for manifest in manifests for pair in set_labels(manifest)} | marks | OF_KUBERNETES | OF_MONITORING


@pytest.mark.parametrize("selector", found(SELECTOR))
def test_a_selector_finds_something(selector: str) -> None:
    known = known_labels()
    keys = {key for key, _ in known} | {labels.RUNNER_GROUP}
    for part in selector.split(","):
        key, _, value = part.partition("=")
        assert (key, value) in known if value else key in keys, f"no object has {part}"


def test_there_is_something_of_each_sort() -> None:
    assert all(found(pattern) for pattern in (METRIC, EVENT, REASON, SELECTOR))
    assert "WorkerPodCreateFailed" in own_events()


# -- verification

REFERENCE = {LIST_OF_REASONS}
"""Procedures in which nothing is done."""
PROCEDURES = [page for page in PAGES if page.parent.name == "procedures" and page not in REFERENCE]
CHECK = {check.id: check for check in CHECKS}


def verification(page: Path) -> str:
    """The section in which a page says how its end shows; empty without one."""
    return page.read_text(encoding="utf-8").partition("\n## Verification\n")[2].partition("\n## ")[0]


def verified(pages: list[Path]) -> list[Any]:
    """Each page with its section."""
    return [pytest.param(verification(page), id=page.relative_to(ROOT / "runbooks").as_posix()) for page in pages]


OF_CHECKS_AND_ALERTS = [page for page in PAGES if page.parent.name in ("checks", "alerts")]


@pytest.mark.parametrize("section", verified([*PROCEDURES, *OF_CHECKS_AND_ALERTS]))
def test_a_page_is_verified_by_a_check_that_can_fail(section: str) -> None:
    """A command exits with 0 whatever its check finds, where that is less bad than what `--fail-on` names."""
    commands = re.findall(r"\bgw (?:health|check)\b[^\n`]*", section)
    named = {command: re.findall(r"--check (\S+)", command) for command in commands}
    assert any(named.values()), "no command of a section Verification asks a check by its id"
    for command, ids in named.items():
        least = re.search(r"--fail-on (\w+)", command)
        severity = Severity(least[1]) if least else Severity.PAGE
        assert [each for each in ids if not CHECK[each].severity.reaches(severity)] == [], command
