"""What Prometheus makes of an annotation: labels, the value, and the value in people's units."""

import math
import re
from collections.abc import Mapping

_LARGE, _SMALL = ("", "k", "M", "G", "T"), ("", "m", "u", "n")
_PART = re.compile(r"{{ \$(?:labels\.(?P<label>\w+)|value(?: \| (?P<filter>\w+))?) }}")
_GIVEN = re.compile(r"{{ with \$labels\.(\w+) }}(.*?){{ end }}")
_UNEQUAL = re.compile(r'{{ if ne \$labels\.(\w+) "([^"]*)" }}(.*?)(?:{{ else }}(.*?))?{{ end }}')


def with_branches_taken(template: str, labels: Mapping[str, str]) -> str:
    """The template of one instance without the branches that hang on labels."""
    given = _GIVEN.sub(
        lambda found: found[2].replace("{{ . }}", labels[found[1]]) if found[1] in labels else "", template
    )
    return _UNEQUAL.sub(lambda found: found[3] if labels.get(found[1], "") != found[2] else found[4] or "", given)


def rendered(template: str, labels: Mapping[str, str], value: float) -> str:
    """The annotation of one instance."""

    def part(match: re.Match[str]) -> str:
        if label := match["label"]:
            return labels.get(label, "")
        return _FILTERS[match["filter"] or ""](value)

    text = _PART.sub(part, with_branches_taken(template, labels))
    assert "{{" not in text, f"a template that nobody renders: {text}"
    return text


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else repr(value)


def _significant(value: float) -> str:
    return f"{value:.4g}"


def _humanized(value: float) -> str:
    if not value or abs(value) >= 1:
        power = min(int(math.log10(abs(value)) // 3), len(_LARGE) - 1) if value else 0
        return _significant(value / 1000**power) + _LARGE[power]
    power = min(math.ceil(-math.log10(abs(value)) / 3), len(_SMALL) - 1)
    return _significant(value * 1000**power) + _SMALL[power]


def _percentage(value: float) -> str:
    return f"{_significant(value * 100)}%"


def _duration(value: float) -> str:
    if not value:
        return "0s"
    if abs(value) < 1:
        return f"{_humanized(value)}s"
    sign, whole = ("-" if value < 0 else ""), int(abs(value))
    minutes, hours, days = whole // 60 % 60, whole // 3600 % 24, whole // 86400
    seconds = whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{_significant(value)}s"


_FILTERS = {"": _plain, "humanize": _humanized, "humanizePercentage": _percentage, "humanizeDuration": _duration}
