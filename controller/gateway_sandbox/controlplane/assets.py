"""Where the programs are on this machine: the folder that KUBEBUILDER_ASSETS names, then the cache.

KUBEBUILDER_ASSETS is the custom of controller-runtime's envtest; its archives hold etcd, kube-apiserver and kubectl, so
a program that is missing there is looked for in the cache all the same.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gateway_sandbox.controlplane.programs import (
    API_SERVER,
    CONTROLLER_MANAGER,
    ETCD,
    KUBECTL,
    SCHEDULER,
    Program,
    cache_folder,
)

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
TARGET = "make controlplane"
CONTROL_PLANE = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KUBECTL)
"""What a cluster with working Deployments consists of."""


class ProgramsMissing(RuntimeError):
    """Programs are not on this machine; the text says what brings them."""

    def __init__(self, programs: tuple[Program, ...]) -> None:
        self.programs = programs
        names = ", ".join(program.name for program in programs)
        brings = TARGET if shutil.which("go") else f"{TARGET} (needs Go)"
        super().__init__(f"{names} not found in ${ASSETS_VARIABLE} or the cache: `{brings}` builds this")


class ProgramsDisagree(RuntimeError):
    """The programs found do not belong together; the text says what to do."""

    def __init__(self, minors: Mapping[str, str]) -> None:
        found = ", ".join(f"{name} {minor}" for name, minor in minors.items())
        super().__init__(
            f"Kubernetes' programs are of several minors ({found}): unset {ASSETS_VARIABLE}, or let it name a folder "
            "that holds all of them"
        )


def find_program(program: Program) -> Path | None:
    """The executable, or None when this machine has none."""
    assets = os.environ.get(ASSETS_VARIABLE)
    folders = [Path(assets)] if assets else []
    for folder in (*folders, cache_folder(program)):
        path = folder / program.name
        if os.access(path, os.X_OK):
            return path
    return None


def require_programs(*programs: Program) -> dict[Program, Path]:
    """The executables; raises ProgramsMissing that names all that are not here."""
    found = {program: find_program(program) for program in programs}
    missing = tuple(program for program, path in found.items() if path is None)
    if missing:
        raise ProgramsMissing(missing)
    return {program: path for program, path in found.items() if path is not None}


def require_one_minor(programs: Mapping[Program, Path]) -> None:
    """Raises ProgramsDisagree when Kubernetes' programs are of several minors, as KUBEBUILDER_ASSETS may have it.

    No controller manager works beside an older API server (Kubernetes, "Version Skew Policy").
    """
    if not os.environ.get(ASSETS_VARIABLE):
        return
    minors = {program: _minor(path) for program, path in programs.items() if program is not ETCD}
    if len(set(minors.values())) > 1:
        raise ProgramsDisagree({program.name: minor for program, minor in minors.items()})


def _minor(path: Path) -> str:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    found = re.search(r"v(\d+\.\d+)", said)
    return found.group(1) if found else "of no known version"
