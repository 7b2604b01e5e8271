"""From a container's spec to something that can be executed: its folders, its paths, its environment.

Every run gets a fresh folder, as every container gets a fresh root file system.
"""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_sandbox.nodes.admission import SERVICE_ACCOUNT_PATH, render_kubeconfig
from gateway_sandbox.nodes.environment import Setting, build_argv, gather_environment
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.probes import ProbeTarget
from gateway_sandbox.nodes.processes import Launch, markers
from gateway_sandbox.nodes.rewriting import PathMap, expand
from gateway_sandbox.nodes.scope import PodScope
from gateway_sandbox.nodes.volumes import link_nested_mounts

_TEMPORARY = "/tmp"  # noqa: S108 - the container's path, not this machine's
_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container that is ready to start."""

    launch: Launch
    target: ProbeTarget
    termination_log: Path


async def prepare(spec: Mapping[str, Any], image: Image, scope: PodScope) -> Prepared:
    """Lays out one run; raises ConfigProblem, KubeError, and OSError when the disk refuses."""
    folder = scope.folder / "containers" / str(spec["name"])
    termination_path = spec.get("terminationMessagePath") or _TERMINATION_LOG
    targets = await asyncio.to_thread(_lay_out, spec, image, scope, folder, termination_path)
    paths = PathMap({prefix: str(target) for prefix, target in targets.items()})

    def rewrite(text: str) -> str:
        return scope.host.services.rewrite(paths.rewrite(text))

    pod = scope.current()
    setting = Setting(
        image=image,
        rewrite=rewrite,
        ports=scope.ports,
        given=_given_variables(pod, scope, folder, targets),
        markers=markers(pod["metadata"]["uid"], spec["name"]),
    )
    env = await gather_environment(spec, pod, setting, scope.sources)
    launch = Launch(
        build_argv(spec, setting, env), env, _working_dir(spec, image, paths, folder), _pre_stop_seconds(spec)
    )
    target = ProbeTarget(scope.host.address, scope.ports, env, launch.cwd, lambda text: expand(rewrite(text), env))
    return Prepared(launch, target, targets[termination_path])


def _lay_out(
    spec: Mapping[str, Any], image: Image, scope: PodScope, folder: Path, termination_path: str
) -> dict[str, Path]:
    """The container's paths; mounts cover the image's own."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("root", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    targets = {_TEMPORARY: folder / "tmp", termination_path: folder / "termination-log"}
    targets |= {prefix: lay_out(folder) for prefix, lay_out in image.rootfs.items()}
    for mount in spec.get("volumeMounts") or []:
        source = scope.volume_folder(mount["name"]) / (mount.get("subPath") or "")
        if not source.exists():
            source.mkdir(parents=True)
        targets[mount["mountPath"].rstrip("/")] = source
    link_nested_mounts(targets)
    return targets


def _given_variables(
    pod: Mapping[str, Any], scope: PodScope, folder: Path, targets: Mapping[str, Path]
) -> dict[str, str]:
    given = {"HOSTNAME": pod["metadata"]["name"], "HOME": str(folder / "home"), "TMPDIR": str(targets[_TEMPORARY])}
    access = targets.get(SERVICE_ACCOUNT_PATH)
    if access is not None:
        kubeconfig = folder / "kubeconfig"
        text = render_kubeconfig(
            api_url=scope.host.api.url,
            ca_path=access / "ca.crt",
            token_path=access / "token",
            namespace=pod["metadata"]["namespace"],
        )
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(text)
        given["KUBECONFIG"] = str(kubeconfig)
    return given


def _working_dir(spec: Mapping[str, Any], image: Image, paths: PathMap, folder: Path) -> Path:
    wanted = spec.get("workingDir") or image.working_dir
    local = paths.rewrite(wanted)
    if local == wanted:
        # A path that nothing stands for: an empty root of its own instead of this machine's.
        return folder / "root"
    Path(local).mkdir(parents=True, exist_ok=True)
    return Path(local)


def _pre_stop_seconds(spec: Mapping[str, Any]) -> float:
    """What the container's hook sleeps; the node refuses other hooks."""
    hook = (spec.get("lifecycle") or {}).get("preStop") or {}
    return float((hook.get("sleep") or {}).get("seconds") or 0)
