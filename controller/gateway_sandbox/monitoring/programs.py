"""The two programs, and what brings those that are missing. Whoever else looks for them asks here."""

import shutil
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MonitoringProgram:
    """One of them, under every name that its executable has somewhere."""

    name: str
    executables: tuple[str, ...]
    package: str
    """Debian's."""

    def find(self) -> str | None:
        """The path of the executable, or None."""
        return next((path for name in self.executables if (path := shutil.which(name))), None)


PROMETHEUS = MonitoringProgram("prometheus", ("prometheus",), "prometheus")
ALERTMANAGER = MonitoringProgram(
    # Debian's name first: elsewhere there is only the other.
    "alertmanager",
    ("prometheus-alertmanager", "alertmanager"),
    "prometheus-alertmanager",
)
PROGRAMS = (PROMETHEUS, ALERTMANAGER)
