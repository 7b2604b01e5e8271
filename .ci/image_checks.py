"""Checks of the built controller's image, for `.ci/image`: what is in it, how it starts, how big it is.

The image's own command runs with the image's environment and user, in a mount namespace whose root is read-only, as
the manifests' security context has it; the network is the machine's. Needs root, for the mounts and for the user.
"""

import argparse
import errno
import gzip
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions_gateway import __version__
from actions_gateway.agent.jobs.security import RUNNER_USER
from actions_gateway.manifests.podspec import pod_security

FOLDER = Path("opt/controller")
WRAPPER_FOLDER = Path("/opt/actions-gateway")
ACCOUNT_FOLDER = Path("/run/secrets/kubernetes.io/serviceaccount")

FOR_ALL = "/tmp/file"  # noqa: S108 - nothing is written there: that is the point

OWN_LIMIT_MB = 110
"""Uncompressed, without the base: a package that suddenly brings its tests along should be seen."""
LIMIT_SECONDS = 30.0
"""For a start and for an end, on a machine that is busy with other stages."""
STARTS = 5

_ENTER = """
mount --make-rprivate / || exit 125
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 125
mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" || exit 125
while [ "$1" != -- ]; do mount --bind "$1" "$0$2" || exit 125; shift 2; done
user=$2
shift 2
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$0" "$@"
"""
"""Arguments: root, pairs of folder and mount point, --, user, command. It becomes the command, under the same pid."""

_INSPECTION = """
import importlib, importlib.metadata, json, os, pkgutil, re, sys
import actions_gateway
names = [m.name for m in pkgutil.walk_packages(actions_gateway.__path__, "actions_gateway.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
site = os.path.dirname(os.path.dirname(actions_gateway.__file__))
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
def refusal(path):
    try:
        open(path, "w").close()
    except OSError as problem:
        return problem.strerror
print(json.dumps({
    "version": actions_gateway.__version__,
    "python": sys.version.split()[0],
    "distributions": [d.metadata["Name"] + "==" + d.version for d in importlib.metadata.distributions()],
    "owned": [f.parts[0] for d in importlib.metadata.distributions() for f in d.files],
    "found": [n for n in os.listdir(site) if n != "__pycache__"],
    "uncompiled": [n for n, m in sys.modules.items() if (getattr(m, "__cached__", None) or "").endswith(".pyc")
                   and not os.path.exists(m.__cached__)],
    "user": [os.getuid(), os.getgid()],
    "capabilities": int(status["CapEff"], 16),
    "refusals": {path: refusal(path) for path in sys.argv[1:]},
}))
"""


class Wrong(Exception):
    """The image is not as it must be; the text says how."""


@dataclass(frozen=True, slots=True)
class Image:
    """The mounted root file system of an image and what its configuration says."""

    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    labels: Mapping[str, str]

    def start(
        self,
        command: Iterable[str],
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[Path, Path] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a command; `volumes` are folders of this machine by their mount point."""
        mounts: list[str] = []
        for target, source in (volumes or {}).items():
            (self.root / target.relative_to("/")).mkdir(parents=True, exist_ok=True)
            mounts += [str(source), str(target)]
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _ENTER, str(self.root), *mounts, "--", user or self.user, *command],
            env={**self.environment, **(environment or {})},
            cwd="/",
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def read_image(root: Path, inspection: Mapping[str, Any]) -> Image:
    """From what `buildah inspect` says of an image."""
    config = inspection["OCIv1"]["config"]
    environment = dict(entry.split("=", 1) for entry in config["Env"])
    return Image(root, tuple(config["Entrypoint"]), environment, config["User"], config["Labels"])


def check_identity(image: Image) -> None:
    """The image runs as the user of the manifests, and its label tells its version."""
    security = pod_security()
    wanted = f"{security['runAsUser']}:{security['runAsGroup']}"
    _agree("the image's user", image.user, wanted)
    _agree("the label of the version", image.labels["org.opencontainers.image.version"], __version__)


def check_content(image: Image, pins: str) -> str:
    """Exactly the pinned packages and the controller, all compiled, not root, nothing writable; returns a report."""
    places = [FOR_ALL, "/run/file", f"/{FOLDER}/file"]
    facts = json.loads(_finished(image.start([image.command[0], "-I", "-c", _INSPECTION, *places])))
    _agree("the version in the image", facts["version"], __version__)
    pinned = re.findall(r"^([^\s;\\]+==[^\s;\\]+)", pins, flags=re.MULTILINE)
    _agree_on_names("packages", map(_canonical, facts["distributions"]), map(_canonical, pinned))
    _agree_on_names("files of no package", set(facts["found"]) - set(facts["owned"]), ["actions_gateway"])
    _agree_on_names("modules without a compiled form", facts["uncompiled"], [])
    _agree("user and group", ":".join(map(str, facts["user"])), image.user)
    _agree("effective capabilities", facts["capabilities"], 0)
    _agree("writable places", [path for path, refusal in facts["refusals"].items() if refusal is None], [])
    _agree("why even a folder for all takes no file", facts["refusals"][FOR_ALL], os.strerror(errno.EROFS))
    return f"Python {facts['python']}, {len(pinned)} packages, user {image.user}, root read-only"


def check_bad_settings(image: Image) -> None:
    """Without settings it names what is missing and ends with the exit code of wrong usage."""
    code, _, error = _ended(image.start([*image.command, "manager"]))
    _agree("the end without settings", (code, error.count("\n"), "POD_NAMESPACE" in error), (2, 1, True))


def check_wrapper(image: Image, folder: Path) -> str:
    """The init container of a worker's pod lays the wrapper into its volume, as the runner's user; returns a report."""
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    volumes, user = {WRAPPER_FOLDER: folder}, f"{RUNNER_USER}:{RUNNER_USER}"
    install = [*image.command, "worker", "install", str(WRAPPER_FOLDER)]
    _finished(image.start(install, user=user, volumes=volumes))
    _agree("the wrapper's mode", oct((folder / "wrapper").stat().st_mode & 0o777), "0o755")
    # Found without PATH, so by the interpreter that came along. No job is mounted: that it says so shows that it runs.
    bare = ["env", "-i", "PATH=/nonexistent", str(WRAPPER_FOLDER / "wrapper"), "run"]
    code, _, error = _ended(image.start(bare, user=user, volumes=volumes))
    _agree("the wrapper's word without a job", (code, "cannot read key 'payload'" in error), (1, True))
    return f"the wrapper brings an interpreter of {_bytes_of(folder / 'python') / 1e6:.1f} MB along"


def measure_start(image: Image, component: str, folder: Path) -> str:
    """Starts a component until it is alive and stops it again, several times; returns a report.

    It finds an API server that refuses connections: alive it must be all the same.
    """
    account = folder / "account"
    account.mkdir(exist_ok=True)
    for name, text in {"token": "none", "namespace": "gmc-system"}.items():
        (account / name).write_text(text)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", account / "ca.crt")
    runs = sorted(_start_once(image, component, account) for _ in range(STARTS))
    seconds, memory_kib = runs[len(runs) // 2]
    return (
        f"{component} alive after {runs[0][0]:.2f} s (median of {STARTS} {seconds:.2f} s), {memory_kib / 1024:.0f} MiB"
    )


def report_size(image: Image, layout: Path) -> str:
    """Bytes of all layers and of ours, and the largest parts; raises Wrong when ours became too big."""
    layers = _layers(layout)
    packed, plain = (sum(layer[i] for layer in layers) / 1e6 for i in (0, 1))
    own_packed, own_plain = (layers[-1][i] / 1e6 for i in (0, 1))
    if own_plain > OWN_LIMIT_MB:
        raise Wrong(f"our part of the image has {own_plain:.0f} MB; {OWN_LIMIT_MB} MB were thought enough")
    site = next((image.root / FOLDER).glob("lib/python3*/site-packages"))
    sizes = sorted(((_bytes_of(path) / 1e6, path.name) for path in site.iterdir()), reverse=True)
    parts = ", ".join(f"{name} {size:.1f}" for size, name in sizes[:8])
    return (
        f"{plain:.0f} MB, compressed {packed:.0f} MB; without the base {own_plain:.0f} MB, compressed "
        f"{own_packed:.0f} MB; the largest packages in MB: {parts}, {len(sizes) - 8} others "
        f"{sum(size for size, _ in sizes[8:]):.1f}"
    )


def main(arguments: list[str]) -> int:
    """Returns 0, or 1 with one line that says what is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True, help="where the image is mounted, writable")
    parser.add_argument("--inspection", type=Path, required=True, help="what `buildah inspect` says of the image")
    parser.add_argument("--layout", type=Path, required=True, help="OCI layout that holds the image")
    parser.add_argument("--pins", type=Path, required=True, help="requirements.txt of the wheelhouse")
    options = parser.parse_args(arguments)
    image = read_image(options.root, json.loads(options.inspection.read_text()))
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            check_identity(image)
            print(f"image: {check_content(image, options.pins.read_text())}")
            check_bad_settings(image)
            print(f"image: {check_wrapper(image, folder / 'wrapper')}")
            for component in ("manager", "agent"):
                print(f"image: {measure_start(image, component, folder)}")
            print(f"image: {report_size(image, options.layout)}")
    except Wrong as problem:
        sys.stderr.write(f"image: {problem}\n")
        return 1
    return 0


def _start_once(image: Image, component: str, account: Path) -> tuple[float, int]:
    """Seconds until it is alive and its largest memory in KiB; raises Wrong when it ends early or does not end well."""
    port = _free_port()
    environment = {
        "POD_NAMESPACE": "gmc-system",
        "CONTROLLER_IMAGE": "controller",
        "WRAPPER_IMAGE": "controller",
        "GATEWAY_NAME": "gateway",
        "GITHUB_URL": "https://github.com/acme/shop",
        "GITHUB_APP_PATH": "/nonexistent",
        "GITHUB_PROXY": f"http://127.0.0.1:{_free_port()}",
        "BIND_ADDRESS": "127.0.0.1",
        "HEALTH_PORT": str(port),
        "METRICS_PORT": "0",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(_free_port()),
    }
    started = time.monotonic()
    process = image.start([*image.command, component], environment=environment, volumes={ACCOUNT_FOLDER: account})
    try:
        _wait_until_alive(process, port, deadline=started + LIMIT_SECONDS)
        seconds = time.monotonic() - started
        status = Path("/proc", str(process.pid), "status").read_text()
        _agree(f"the {component}'s user", re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE), [image.user.split(":")[0]])
        process.send_signal(signal.SIGTERM)
        _finished(process)
    finally:
        process.kill()
        process.communicate()
    return seconds, int(re.findall(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)[0])


def _wait_until_alive(process: subprocess.Popen[str], port: int, *, deadline: float) -> None:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Wrong(f"it ended with {process.returncode} before it was alive: {process.communicate()[1][-2000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.005)
    raise Wrong("it was not alive in time")


def _finished(process: subprocess.Popen[str]) -> str:
    """Its output once it ended; raises Wrong unless it ended well."""
    code, output, error = _ended(process)
    if code != 0:
        raise Wrong(f"{_command(process)} ended with {code}: {error[-2000:]}")
    return output


def _ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code, output and errors; raises Wrong when it does not end by itself."""
    try:
        output, error = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        _, error = process.communicate()
        raise Wrong(f"{_command(process)} did not end within {LIMIT_SECONDS:g} s: {error[-2000:]}") from None
    return process.returncode, output, error


def _agree(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {_cut(repr(found))} instead of {_cut(repr(wanted))}")


def _agree_on_names(what: str, found: Iterable[str], wanted: Iterable[str]) -> None:
    surplus, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    if surplus or missing:
        raise Wrong(
            f"{what}: {_cut(', '.join(surplus)) or 'none'} too many, {_cut(', '.join(missing)) or 'none'} missing"
        )


def _cut(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:400]}..."


def _command(process: subprocess.Popen[str]) -> str:
    """The command inside of the image."""
    arguments = [str(argument) for argument in process.args]  # type: ignore[union-attr]  # we only start lists
    return _cut(shlex.join(arguments[arguments.index("--") + 2 :]))


def _canonical(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() + "==" + pin.split("==")[1]


def _layers(layout: Path) -> list[tuple[int, int]]:
    """Compressed and uncompressed bytes of each layer, the base's first."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    return [(layer["size"], _unpacked_bytes(blob(layer["digest"]))) for layer in manifest["layers"]]


def _unpacked_bytes(path: Path) -> int:
    with gzip.open(path) as stream:
        return sum(map(len, iter(lambda: stream.read(1 << 20), b"")))


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
