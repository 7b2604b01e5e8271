"""The artefacts of the catalogue as files: what each is for, and what stands in its place now."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from actions_gateway.installation.selection import parse_selection, selection_labels
from gw.errors import Refused
from gw.ops.renderedfiles import RenderedFile, beside
from gw_alerts import artefacts
from gw_alerts.alertmanager import render_alertmanager
from gw_alerts.model import Links
from gw_alerts.values import EXAMPLE, EXAMPLE_FILE, Values, ValuesError, load_values

_HEAD = "# Rendered by `gw alerts render`: render it again rather than editing it.\n"


class Artefact(StrEnum):
    """What can be rendered."""

    RULES = "rules"
    PROMETHEUSRULE = "prometheusrule"
    SCRAPE = "scrape"
    MONITORS = "monitors"
    ALERTMANAGER = "alertmanager"
    PROMETHEUS = "prometheus"
    CASES = "cases"
    VALUES = "values"

    @property
    def needs_values(self) -> bool:
        """Whether it is about one installation."""
        return self in (Artefact.ALERTMANAGER, Artefact.PROMETHEUS)


_FILES = {
    Artefact.RULES: artefacts.RULES,
    Artefact.SCRAPE: "scrape-configs.yaml",
    Artefact.VALUES: EXAMPLE_FILE.name,
}
"""Names in a folder that are not the artefact's own."""
_TESTS = "tests"


_OF_INSTALLATION = tuple(each for each in Artefact if each not in (Artefact.CASES, Artefact.VALUES))


def read_values(path: Path | None, links: Links) -> Values | None:
    """The values, with these links where they are given; None without a file. Raises Refused."""
    if path is None:
        return None
    try:
        values = load_values(path)
    except ValuesError as problem:
        field = "" if problem.field == str(path) else f"{problem.field} "
        raise Refused(f"the values file {path} cannot be used: {field}{problem.message}", problem.next_step) from None
    changes = {"runbooks": links.runbooks, "grafana": links.grafana}
    return values.model_copy(update={key: value for key, value in changes.items() if value})


def parse_artefact(text: str) -> Artefact:
    """Raises Refused."""
    try:
        return Artefact(text)
    except ValueError:
        raise Refused(f"{text!r} is nothing that can be rendered", f"Name one of {', '.join(Artefact)}.") from None


def parse_labels(texts: Sequence[str], artefact: Artefact | None) -> dict[str, str]:
    """Of `--label`; raises Refused."""
    if texts and artefact not in (None, Artefact.PROMETHEUSRULE, Artefact.MONITORS):
        raise Refused(f"--label: {artefact.value} has no labels that a Prometheus selects it by", "Leave it out.")
    try:
        return selection_labels(parse_selection(",".join(texts)))
    except ValueError as problem:
        raise Refused(f"--label: {problem}", "Write it as in --label release=kube-prometheus-stack.") from None


def render_text(artefact: Artefact, values: Values | None, links: Links, selected_by: Mapping[str, str]) -> str:
    """The text of one that is a single file; raises Refused for another, or one that needs values and has none."""
    files = render(artefact, values, links, selected_by)
    if len(files) > 1:
        raise Refused(f"{artefact.value} are {len(files)} files", "Name a folder with --output-dir DIR.")
    return next(iter(files.values()))


def render(artefact: Artefact, values: Values | None, links: Links, selected_by: Mapping[str, str]) -> dict[str, str]:
    """Texts by their names in a folder; raises Refused for what needs values and has none."""
    if values is not None:
        links, selected_by = values.links, {**values.monitoring.labels, **selected_by}
    match artefact:
        case Artefact.CASES:
            return _cases()
        case Artefact.VALUES:
            # To be edited, unlike all others.
            return {_FILES[artefact]: EXAMPLE_FILE.read_text(encoding="utf-8")}
        case Artefact.RULES:
            text = artefacts.render_rules(links)
        case Artefact.PROMETHEUSRULE:
            text = artefacts.render_prometheus_rule(links, selected_by=selected_by)
        case Artefact.SCRAPE:
            text = artefacts.render_scrape_configs()
        case Artefact.MONITORS:
            text = artefacts.render_monitors(selected_by)
        case Artefact.ALERTMANAGER:
            text = render_alertmanager(_needed(values, artefact))
        case Artefact.PROMETHEUS:
            text = artefacts.render_prometheus(_needed(values, artefact))
    return {_FILES.get(artefact, f"{artefact.value}.yaml"): _HEAD + text}


def _needed(values: Values | None, artefact: Artefact) -> Values:
    if values is None:
        raise Refused(
            f"{artefact.value} is about one installation, and there are no values",
            f"Name its file with --values FILE; {EXAMPLE} prints an example.",
        )
    return values


def _cases() -> dict[str, str]:
    """promtool's tests, which find the rule file in the folder above theirs."""
    from gw_alerts.cases import render_cases
    from gw_alerts.cases.rendering import RULES

    return {f"{_TESTS}/{name}": text.replace(RULES, f"../{artefacts.RULES}") for name, text in render_cases().items()}


def render_files(
    folder: Path, wanted: Sequence[Artefact], values: Values | None, links: Links, selected_by: Mapping[str, str]
) -> tuple[RenderedFile, ...]:
    """All of them, or those named, beside what stands in the folder now; raises Refused, writes nothing."""
    chosen = wanted or [each for each in _OF_INSTALLATION if values is not None or not each.needs_values]
    return tuple(
        beside(each.value, folder / name, text)
        for each in chosen
        for name, text in render(each, values, links, selected_by).items()
    )
