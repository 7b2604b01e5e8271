"""The CA bundle: what each client of a job is told to trust."""

from pathlib import Path

import pytest

from actions_gateway.worker import certificates
from actions_gateway.worker.certificates import BUNDLE_VARIABLES, trust_extra_authorities
from actions_gateway.worker.errors import StartError


@pytest.fixture(autouse=True)
def system_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "system.crt"
    path.write_text("SYSTEM\n")
    monkeypatch.setattr(certificates, "SYSTEM_BUNDLES", (str(tmp_path / "absent"), str(path)))
    return path


def authority(folder: Path, name: str, text: str) -> tuple[str, str]:
    path = folder / f"{name}.pem"
    path.write_text(text)
    return name, str(path)


def test_without_extra_authorities_nothing_is_set(tmp_path: Path) -> None:
    blank = authority(tmp_path, "GITHUB_CA_CERT_PATH", " \n")
    assert trust_extra_authorities((), str(tmp_path), {}) == {}
    assert trust_extra_authorities((blank, ("PROXY_CA_CERT_PATH", "/no/such")), str(tmp_path), {}) == {}


def test_the_bundle_holds_the_systems_and_both_extra_authorities(tmp_path: Path) -> None:
    extras = (
        authority(tmp_path, "GITHUB_CA_CERT_PATH", "GITHUB"),
        authority(tmp_path, "PROXY_CA_CERT_PATH", "PROXY\n"),
    )
    variables = trust_extra_authorities(extras, str(tmp_path), {})
    bundle = str(tmp_path / "ca-bundle.crt")
    assert Path(bundle).read_text() == "SYSTEM\nGITHUB\nPROXY\n"
    assert Path(bundle).stat().st_mode & 0o777 == 0o644
    assert variables == {
        "SSL_CERT_FILE": bundle,
        "NODE_EXTRA_CA_CERTS": str(tmp_path / "ca-extra.crt"),
        **dict.fromkeys(BUNDLE_VARIABLES, bundle),
    }
    assert (tmp_path / "ca-extra.crt").read_text() == "GITHUB\nPROXY\n"


def test_the_same_authority_twice_is_written_once(tmp_path: Path) -> None:
    extras = (authority(tmp_path, "GITHUB_CA_CERT_PATH", "ONE"), authority(tmp_path, "PROXY_CA_CERT_PATH", "ONE\n"))
    trust_extra_authorities(extras, str(tmp_path), {})
    assert (tmp_path / "ca-bundle.crt").read_text() == "SYSTEM\nONE\n"


def test_what_the_image_trusts_already_stays_trusted(tmp_path: Path) -> None:
    (tmp_path / "image.crt").write_text("IMAGE")
    (tmp_path / "node.crt").write_text("NODE")
    environ = {
        "SSL_CERT_FILE": str(tmp_path / "image.crt"),
        "NODE_EXTRA_CA_CERTS": str(tmp_path / "node.crt"),
        "PIP_CERT": "/of/the/image",
    }
    variables = trust_extra_authorities((authority(tmp_path, "PROXY_CA_CERT_PATH", "PROXY"),), str(tmp_path), environ)
    assert (tmp_path / "ca-bundle.crt").read_text() == "IMAGE\nPROXY\n"
    assert (tmp_path / "ca-extra.crt").read_text() == "NODE\nPROXY\n"
    assert variables["PIP_CERT"] == "/of/the/image"


def test_an_unreadable_authority_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="PROXY_CA_CERT_PATH names at"):
        trust_extra_authorities((("PROXY_CA_CERT_PATH", str(tmp_path)),), str(tmp_path), {})
