"""Tokens that expire and are renewed in their file, as the kubelet does it, against the real authenticator."""

import asyncio
import os
import random
from pathlib import Path

import jwt
import pytest
import structlog.testing
from kubernetes.aio.config import incluster_config

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import Unauthorized
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import NAMESPACES
from gateway_sandbox.controlplane.server import ControlPlane
from gateway_sandbox.kubeconfigs import write_kubeconfig
from support.aio import run, until

HOUR_SECONDS = 3600


async def fresh(plane: ControlPlane) -> str:
    async with connect(plane.kubeconfig) as admin:
        return await admin.create_token(MANAGER, MANAGER_NAMESPACE)


def expired(plane: ControlPlane, token: str) -> str:
    """The same token, signed by the same key, from two hours ago."""
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= {name: claims[name] - 2 * HOUR_SECONDS for name in ("iat", "nbf", "exp")}
    key = (plane.folder / "pki" / "service-accounts.key").read_text()
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


class Mount:
    """A projected volume: the file is a link into a folder that is replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._generation = 0
        self.path = folder / "token"
        self.path.symlink_to(Path("..data") / "token")

    def put(self, token: str) -> None:
        self._generation += 1
        data = self._folder / f"..{self._generation}"
        data.mkdir()
        (data / "token").write_text(token)
        link = self._folder / "..new"
        link.symlink_to(data.name)
        link.replace(self._folder / "..data")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    return Mount(folder)


def kubeconfig(plane: ControlPlane, mount: Mount, folder: Path) -> Path:
    user = {"tokenFile": os.path.relpath(mount.path, folder)}
    return write_kubeconfig(folder / "kubeconfig", url=plane.url, ca_path=plane.certificates.ca_path, user=user)


@pytest.mark.parametrize("source", ["a kubeconfig", "the pod"])
def test_an_expired_token_is_named_by_its_file_and_a_renewed_one_is_used_at_once(
    plane: ControlPlane, mount: Mount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    path = kubeconfig(plane, mount, tmp_path)
    if source == "the pod":
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", plane.url.rpartition(":")[2])
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(mount.path))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(plane.certificates.ca_path))

    async def main() -> None:
        token = await fresh(plane)
        mount.put(token)
        async with connect(path if source == "a kubeconfig" else None) as client:
            assert (await client.list(NAMESPACES)).items
            mount.put(expired(plane, token))
            with pytest.raises(Unauthorized, match=r"does not accept the token in .*/token: expired") as caught:
                await client.list(NAMESPACES)
            assert str(mount.path) in str(caught.value)
            assert token not in str(caught.value)
            mount.put(await fresh(plane))
            assert (await client.list(NAMESPACES)).items

    run(main())


def test_a_watch_loop_outlives_the_time_without_a_valid_token(
    plane: ControlPlane, mount: Mount, tmp_path: Path
) -> None:
    path = kubeconfig(plane, mount, tmp_path)

    async def main() -> None:
        token = await fresh(plane)
        mount.put(expired(plane, token))
        synced = asyncio.Event()

        async def follow(client: KubeClient) -> None:
            async for change in list_watch(client, NAMESPACES, clock=SystemClock(), rng=random.Random(1)):
                if change.type is ChangeType.SYNCED:
                    synced.set()

        with structlog.testing.capture_logs() as lines:
            async with connect(path) as client, asyncio.TaskGroup() as group:
                task = group.create_task(follow(client), name="follow")
                await until(lambda: bool(lines))
                mount.put(token)
                await synced.wait()
                task.cancel()
        assert "does not accept the token in" in lines[0]["problem"]

    run(main())


@pytest.mark.parametrize(
    ("content", "cause"),
    [(None, "cannot be read: no such file"), (b"", "is empty"), (b"\xff\xfe", "cannot be read: it is no text")],
)
def test_a_token_file_that_is_no_token_is_named(
    plane: ControlPlane, mount: Mount, tmp_path: Path, content: bytes | None, cause: str
) -> None:
    path = kubeconfig(plane, mount, tmp_path)

    async def main() -> None:
        mount.put(await fresh(plane))
        async with KubeClient(await load_configuration(path)) as client:
            assert (await client.list(NAMESPACES)).items
            mount.path.unlink()
            if content is not None:
                mount.path.write_bytes(content)
            with pytest.raises(Unauthorized, match=f"the token file .*/token {cause}"):
                await client.list(NAMESPACES)

    run(main())
