"""Labels by which a Prometheus of the operator selects monitors and rules: its own installation says which.

Syntax: Kubernetes documentation, "Labels and Selectors".
"""

import re
from collections.abc import Iterable, Mapping

from actions_gateway.api import labels

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_OURS = (labels.APP_NAME, labels.APP_PART_OF, labels.APP_COMPONENT)


def parse_selection(text: str) -> tuple[str, ...]:
    """Pairs KEY=VALUE in their order, of a list with commas; raises ValueError."""
    pairs = [each.strip() for each in text.split(",") if each.strip()]
    keys = set()
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} is not KEY=VALUE")
        check_label(key, value)
        if key in keys:
            raise ValueError(f"the label {key!r} is there twice")
        keys.add(key)
    return tuple(sorted(pairs))


def check_label(key: str, value: str) -> None:
    """Raises ValueError for what no object may have, and for what all of ours have."""
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise ValueError(f"{key!r} is no name of a label")
    if value and not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no value of a label")
    if key in _OURS:
        raise ValueError(f"the label {key!r} says what an object is, and is not to be changed")


def selection_labels(pairs: Iterable[str]) -> dict[str, str]:
    """The labels that checked pairs stand for."""
    return dict(pair.split("=", 1) for pair in pairs)


def format_selection(selected_by: Mapping[str, str]) -> str:
    """The list that `parse_selection` reads."""
    return ",".join(f"{key}={value}" for key, value in sorted(selected_by.items()))
