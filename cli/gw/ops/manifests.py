"""Kubernetes manifests as the YAML that people review."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes shared parts out instead of anchors, and text of several lines, such as a certificate, as a block."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def render_manifests(manifests: Iterable[Mapping[str, Any]]) -> str:
    """One YAML stream."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120, explicit_start=True, allow_unicode=True)


def render_manifest(manifest: Mapping[str, Any]) -> str:
    """One YAML document, without a mark at its start."""
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
