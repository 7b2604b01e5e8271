"""The App's credentials: what is accepted, what is refused with which words, and the JWT made of them."""

import base64
import contextlib
import hashlib
import shutil
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from actions_gateway.github import app
from actions_gateway.github.app import (
    CredentialInvalid,
    CredentialProblem,
    app_jwt,
    parse_credentials,
    parse_fields,
    read_fields,
)
from support.clock import START

from .doubles import credentials, rsa_key


def pem(
    form: PrivateFormat = PrivateFormat.TraditionalOpenSSL,
    encryption: KeySerializationEncryption | None = None,
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | None = None,
) -> str:
    return (key or rsa_key()).private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def folder_with(path: Path, **files: str | None) -> Path:
    for name, text in ({"appId": "12345", "installationId": "678", "privateKey": pem()} | files).items():
        if text is not None:
            (path / name).write_text(text)
    return path


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_both_pem_forms_are_read_and_blanks_do_not_matter(tmp_path: Path, form: PrivateFormat) -> None:
    folder = folder_with(tmp_path, appId=" 12345\n", installationId="678\n", privateKey=f"\n{pem(form)}\r\n")
    loaded = parse_fields(read_fields(folder))
    assert (loaded.app_id, loaded.installation_id) == ("12345", 678)
    assert loaded.key.private_numbers() == rsa_key().private_numbers()


def test_what_is_read_is_one_version_of_the_secret_although_it_changes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["1", "2", "3"])
    fields = ("appId", "installationId", "privateKey")
    for name in fields:
        (tmp_path / name).symlink_to(Path("..data", name))

    def swap() -> None:
        """As the kubelet does it: the new version beside the old one, the link replaced, the old one removed."""
        number, stale = next(versions), list(tmp_path.glob("..v*"))
        new = tmp_path / f"..v{number}"
        new.mkdir()
        for name in fields:
            (new / name).write_text(number)
        (tmp_path / "..data_tmp").symlink_to(new.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        for folder in stale:
            shutil.rmtree(folder)

    def reading(path: Path) -> bytes | OSError:
        content = read(path)
        if path.name == "installationId":
            with contextlib.suppress(StopIteration):
                swap()
        return content

    read = app._read
    monkeypatch.setattr(app, "_read", reading)
    swap()
    assert read_fields(tmp_path) == dict.fromkeys(fields, b"3")


def test_a_client_id_serves_as_the_app_id() -> None:
    assert parse_credentials(app_id="Iv23liABC", installation_id="1", private_key=pem()).app_id == "Iv23liABC"


def test_the_fingerprint_is_the_one_that_github_shows() -> None:
    der = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert credentials().key_fingerprint == f"SHA256:{digest}"


PUBLIC = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
MISSING, MALFORMED = CredentialProblem.MISSING, CredentialProblem.MALFORMED


@pytest.mark.parametrize(
    ("name", "text", "problem", "words"),
    [
        ("appId", None, MISSING, "has no key appId"),
        ("appId", " ", MISSING, "is empty"),
        ("appId", "my app", MALFORMED, "the App's id"),
        ("installationId", None, MISSING, "has no key installationId"),
        ("installationId", "twelve", MALFORMED, "the installation's id, a number"),
        ("installationId", "0", MALFORMED, "the installation's id, a number"),
        ("privateKey", None, MISSING, "has no key privateKey"),
        ("privateKey", "\n", MISSING, "is empty"),
        ("privateKey", "hunter2", MALFORMED, "no PEM file"),
        ("privateKey", PUBLIC, MALFORMED, "a public key"),
        ("privateKey", pem().replace("\n", "\\n"), MALFORMED, "line breaks"),
        ("privateKey", pem()[:400] + pem()[500:], MALFORMED, "is damaged"),
        ("privateKey", pem(encryption=BestAvailableEncryption(b"x")), MALFORMED, "passphrase"),
        (
            "privateKey",
            pem(PrivateFormat.PKCS8, key=ed25519.Ed25519PrivateKey.generate()),
            MALFORMED,
            "not an RSA key",
        ),
        ("privateKey", pem(key=rsa.generate_private_key(65537, 1024)), MALFORMED, "2048 bits"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else None,
)
def test_an_unusable_field_is_named_with_its_remedy(
    tmp_path: Path, name: str, text: str | None, problem: CredentialProblem, words: str
) -> None:
    with pytest.raises(CredentialInvalid, match=words) as caught:
        parse_fields(read_fields(folder_with(tmp_path, **{name: text})))
    assert (caught.value.field, caught.value.problem) == (name, problem)
    if text and text.strip():
        assert text.strip() not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_text_is_malformed(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    (folder / "appId").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CredentialInvalid) as caught:
        parse_fields(read_fields(folder))
    assert (caught.value.field, caught.value.problem) == ("appId", MALFORMED)


def test_the_jwt_is_backdated_a_minute_and_ends_a_minute_before_the_limit() -> None:
    token = app_jwt(credentials(), START).reveal()
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT"}
    claims = jwt.decode(token, rsa_key().public_key(), ["RS256"], options={"verify_exp": False, "verify_iat": False})
    now = int(START.timestamp())
    assert (claims["iss"], claims["iat"], claims["exp"]) == ("12345", now - 60, now + 540)
    assert (
        claims["jti"] != jwt.decode(app_jwt(credentials(), START).reveal(), options={"verify_signature": False})["jti"]
    )


def test_credentials_do_not_print_their_key() -> None:
    assert "PRIVATE" not in repr(credentials())
    assert str(rsa_key().private_numbers().d)[:20] not in repr(credentials())
