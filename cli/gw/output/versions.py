"""Versions as text and as a document."""

from dataclasses import asdict

from gw.ops.versions import Versions
from gw.output.layout import columns
from gw.output.view import View


def versions_view(versions: Versions) -> View:
    """One version per line."""
    return View(
        kind="Version",
        data=asdict(versions),
        lines=lambda: columns([[name, version] for name, version in asdict(versions).items()]),
        short=[versions.gw],
    )
