"""The programs of a control plane as data: which package of which pinned Go module each is, and how it is linked.

Beside them a newer Prometheus and Alertmanager than Debian's, for whoever wants to see that the rules hold there, too.
"""

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
"""One folder per Go module, holding its pins only."""

KUBERNETES_VERSION = "v1.36.3"
KWOK_VERSION = "v0.8.0"
PROMETHEUS_VERSION = "3.5.1"
ALERTMANAGER_VERSION = "0.28.1"

_VERSION_PACKAGE = "k8s.io/component-base/version"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
_KUBERNETES_FLAGS = (
    # Without these the server calls itself v0.0.0-master, and clients that parse its version stumble.
    f"-X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION} "
    f"-X {_VERSION_PACKAGE}.gitMajor={_MAJOR} -X {_VERSION_PACKAGE}.gitMinor={_MINOR}"
)


def _versioned(version: str) -> str:
    """What Prometheus' programs call themselves; without it they name no version."""
    return f"-X github.com/prometheus/common/version.Version={version}"


@dataclass(frozen=True, slots=True)
class Program:
    """One executable and the Go package that it is built from."""

    name: str
    module: str
    package: str
    linker_flags: str = ""

    @property
    def folder(self) -> Path:
        """The pins of its module."""
        return MODULES / self.module


ETCD = Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3")
API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KUBECTL = (
    Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_FLAGS)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
)
KWOK = Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", f"-X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}")
KUBECONFORM = Program("kubeconform", "kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform")

PROMETHEUS, PROMTOOL = (
    Program(name, "prometheus", f"github.com/prometheus/prometheus/cmd/{name}", _versioned(PROMETHEUS_VERSION))
    for name in ("prometheus", "promtool")
)
ALERTMANAGER, AMTOOL = (
    Program(name, "alertmanager", f"github.com/prometheus/alertmanager/cmd/{name}", _versioned(ALERTMANAGER_VERSION))
    for name in ("alertmanager", "amtool")
)

PROGRAMS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KUBECTL, KWOK, KUBECONFORM)
"""What is built unless something else is named."""
MONITORING = (PROMTOOL, PROMETHEUS, AMTOOL, ALERTMANAGER)
"""What is built only when it is named: nothing needs it that Debian's packages are not enough for."""


def cache_folder(program: Program) -> Path:
    """Where the built program lives: outside of the checkout, keyed by its module's pins, its linker flags and the
    machine's kind, since a home folder may be shared by several."""
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # A relative path is to be ignored (XDG Base Directory Specification).
    root = named if named.is_absolute() else Path.home() / ".cache"
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return root / "actions-gateway" / "controlplane" / f"{program.module}-{_pins_digest(program)}-{machine}"


def _pins_digest(program: Program) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((program.folder / name).read_bytes())
    for other in (*PROGRAMS, *MONITORING):
        if other.module == program.module:
            digest.update(f"{other.name} {other.package} {other.linker_flags}".encode())
    return digest.hexdigest()[:16]
