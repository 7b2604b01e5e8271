"""By which certificate authorities `gw key verify` and `gw key rotate` ask GitHub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.kube import errors
from gateway_sandbox.certificates import SandboxCertificates
from gw.errors import Blind
from gw.sources.installation import Installation, InstallationQuery

from .key_rotation import OLD, OTHER_KEY, TENANT, ByKey, Rotation, fingerprint
from .rig import Answer

BUNDLE = ("configmaps", TENANT, "github-ca")


class Trusting(ByKey):
    """Remembers the text of the bundle that it was asked with, too."""

    def __init__(self) -> None:
        super().__init__()
        self.trusted: list[str | None] = []
        self.paths: list[Path] = []

    async def look_up(self, query: InstallationQuery) -> Installation:
        self.trusted.append(query.ca_bundle.read_text() if query.ca_bundle else None)
        self.paths += [query.ca_bundle] if query.ca_bundle else []
        return await super().look_up(query)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of two authorities."""
    folders = [tmp_path_factory.mktemp(name) for name in ("gateways", "named")]
    first, second = (SandboxCertificates.create(folder).ca_path for folder in folders)
    return first, second


@pytest.fixture
def rotate(tmp_path: Path, authorities: tuple[Path, Path]) -> Rotation:
    """A tenant whose gateway names a bundle."""
    rotation = Rotation(tmp_path)
    rotation.github = rotation.gw.github = Trusting()
    rotation.cluster.objects["actionsgateways", TENANT, TENANT]["spec"]["caBundleRef"] = {"name": "github-ca"}
    hold(rotation, {"ca.crt": authorities[0].read_text()})
    return rotation


def hold(rotation: Rotation, data: dict[str, Any]) -> None:
    metadata = {"name": "github-ca", "namespace": TENANT}
    rotation.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def verified(rotation: Rotation, *arguments: str) -> Answer:
    return rotation.gw("key", "verify", TENANT, "--private-key-file", str(rotation.key_file), *arguments)


def rotated(rotation: Rotation, *arguments: str) -> Answer:
    return rotation(*arguments)


asking = pytest.mark.parametrize("ask", [verified, rotated], ids=["verify", "rotate"])
Ask = Callable[..., Answer]


def trusted(rotation: Rotation) -> list[str | None]:
    assert isinstance(rotation.github, Trusting)
    return rotation.github.trusted


@asking
def test_the_bundle_that_the_gateway_names_is_trusted_and_no_copy_stays(
    rotate: Rotation, authorities: tuple[Path, Path], ask: Ask
) -> None:
    answer = ask(rotate)
    assert answer.code == 0, answer
    assert trusted(rotate) == [authorities[0].read_text()]
    assert isinstance(rotate.github, Trusting)
    assert not any(path.parent.exists() for path in rotate.github.paths)


@asking
def test_another_key_of_the_configmap(rotate: Rotation, authorities: tuple[Path, Path], ask: Ask) -> None:
    reference = {"name": "github-ca", "key": "server.pem"}
    rotate.cluster.objects["actionsgateways", TENANT, TENANT]["spec"]["caBundleRef"] = reference
    hold(rotate, {"ca.crt": "another", "server.pem": authorities[1].read_text()})
    assert ask(rotate).code == 0
    assert trusted(rotate) == [authorities[1].read_text()]


@asking
def test_a_file_that_is_named_wins_and_the_gateways_bundle_is_not_read(
    rotate: Rotation, authorities: tuple[Path, Path], ask: Ask
) -> None:
    rotate.cluster.refusals["get", "configmaps"] = errors.Forbidden("configmaps were read", status=403)
    answer = ask(rotate, "--ca-bundle-file", str(authorities[1]))
    assert answer.code == 0, answer
    assert trusted(rotate) == [authorities[1].read_text()]


@asking
def test_without_either_the_systems_authorities_are_enough(rotate: Rotation, ask: Ask) -> None:
    del rotate.cluster.objects["actionsgateways", TENANT, TENANT]["spec"]["caBundleRef"]
    assert ask(rotate).code == 0
    assert trusted(rotate) == [None]


def test_the_old_key_is_looked_at_with_the_same_bundle(rotate: Rotation, authorities: tuple[Path, Path]) -> None:
    rotate.agent.is_stuck = True
    answer = rotate("--timeout", "5s")
    assert answer.code == 5, answer
    assert rotate.reference == OLD
    assert trusted(rotate) == [authorities[0].read_text()] * 2


def no_configmap(rotation: Rotation) -> None:
    del rotation.cluster.objects[BUNDLE]


def no_key(rotation: Rotation) -> None:
    hold(rotation, {"other.crt": "x"})


def no_certificate(rotation: Rotation) -> None:
    hold(rotation, {"ca.crt": "no certificate"})


def no_right(rotation: Rotation) -> None:
    said = 'configmaps "github-ca" is forbidden: User "eve" cannot get resource "configmaps"'
    rotation.cluster.refusals["get", "configmaps"] = errors.Forbidden(said, status=403)


@asking
@pytest.mark.parametrize(
    ("break_it", "code", "said"),
    [
        (no_configmap, 2, "ConfigMap github-ca, which caBundleRef of the gateway team-a names, does not exist"),
        (no_key, 2, "ConfigMap github-ca, which caBundleRef of the gateway team-a names, has no key ca.crt"),
        (no_certificate, 2, "ConfigMap github-ca, which caBundleRef of the gateway team-a names, holds no certificate"),
        (no_right, 3, 'User "eve" cannot get resource "configmaps"'),
    ],
)
def test_a_bundle_that_cannot_be_used_is_named_before_anything_is_asked_or_written(
    rotate: Rotation, ask: Ask, break_it: Callable[[Rotation], None], code: int, said: str
) -> None:
    break_it(rotate)
    answer = ask(rotate)
    assert (answer.code, answer.out) == (code, ""), answer
    assert said in answer.err
    assert "--ca-bundle-file" in answer.err
    assert (trusted(rotate), rotate.cluster.writes) == ([], 0)


@asking
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_asked(
    rotate: Rotation, tmp_path: Path, ask: Ask
) -> None:
    answer = ask(rotate, "--ca-bundle-file", str(tmp_path / "none.pem"))
    assert (answer.code, answer.out) == (2, ""), answer
    assert f"the CA bundle {tmp_path / 'none.pem'} cannot be read" in answer.err
    assert (trusted(rotate), rotate.cluster.writes) == ([], 0)


def test_a_key_that_is_refused_by_a_private_github_is_refused_all_the_same(rotate: Rotation) -> None:
    rotate.github.refused[fingerprint(OTHER_KEY)] = Blind("no answer", "Try again.")
    assert verified(rotate).code == 3
