"""Plain data as the YAML that people review and programs read."""

from collections.abc import Iterable
from typing import Any

import yaml


def render_documents(documents: Iterable[Any]) -> str:
    """One YAML stream; each document begins with its mark."""
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120, explicit_start=True, allow_unicode=True)


def render_document(document: Any) -> str:
    """One YAML document, without a mark at its start."""
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes shared parts out instead of anchors, which not every reader of manifests likes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Plain, text: str) -> yaml.ScalarNode:
    """Several lines as they are, so that a script can be read."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _represent_text)
