"""The YAML at the beginning of a runbook page, which says what the page is about."""

from typing import Any

import yaml


def front_matter(text: str) -> dict[str, Any]:
    """The front matter of a page; raises ValueError when there is none."""
    _, marker, rest = text.partition("---\n")
    block, end, _ = rest.partition("\n---\n")
    data = yaml.safe_load(block) if marker and end else None
    if not isinstance(data, dict):
        raise ValueError("the page has no front matter")
    return data
