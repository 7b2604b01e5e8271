"""The GitHub App's credentials: reading them from the mounted Secret, the App's JWT, the key's fingerprint.

Sources: GitHub docs "Generating a JSON Web Token (JWT) for a GitHub App" and "Managing private keys for GitHub Apps".
Signing takes 0.4 ms with a 2048-bit key, about what a hop to a thread and back costs, so it is done in place; reading a
key takes 50 ms for its validation and belongs to a thread once the loop serves sessions.
"""

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from actions_gateway.github.secrets import Secret

APP_ID_FILE = "appId"
INSTALLATION_ID_FILE = "installationId"
PRIVATE_KEY_FILE = "privateKey"

FieldBytes = Mapping[str, bytes | OSError]
"""A file's content by its field, or why it cannot be read; holds the key, so it is never logged."""

JWT_BACKDATE_SECONDS = 60
"""Absorbs a clock that runs fast; GitHub's own advice."""
JWT_LIFETIME_SECONDS = 540
"""GitHub's limit is 600 from its own now; a minute stays for the clocks' difference."""

_APP_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_INSTALLATION_ID = re.compile(r"[0-9]{1,19}")
_SMALLEST_KEY_BITS = 2048


class CredentialProblem(StrEnum):
    """What is wrong with one field of the credentials."""

    MISSING = "missing"
    MALFORMED = "malformed"


class CredentialInvalid(ValueError):
    """One field of the credentials is unusable; the text says what to do and never shows the value."""

    def __init__(self, credential_field: str, problem: CredentialProblem, message: str) -> None:
        super().__init__(message)
        self.field = credential_field
        """appId, installationId or privateKey: the Secret's key."""
        self.problem = problem
        self.message = message


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """One installation of one GitHub App."""

    app_id: str
    """The App's id, or its client id; GitHub accepts both as the issuer."""
    installation_id: int
    key: rsa.RSAPrivateKey = field(repr=False, compare=False)
    key_fingerprint: str
    """As GitHub's settings page shows it, so that people can tell which of an App's keys this is."""


def read_fields(folder: Path) -> FieldBytes:
    """The three files as they are now, all of one version of the Secret, or why one cannot be read."""
    while True:
        version = _version(folder)
        fields = {name: _read(folder / name) for name in (APP_ID_FILE, INSTALLATION_ID_FILE, PRIVATE_KEY_FILE)}
        if _version(folder) == version:
            return fields


def parse_fields(fields: FieldBytes) -> AppCredentials:
    """The credentials in what `read_fields` found, in about 50 ms; raises CredentialInvalid."""
    return parse_credentials(
        app_id=_text(fields, APP_ID_FILE),
        installation_id=_text(fields, INSTALLATION_ID_FILE),
        private_key=_text(fields, PRIVATE_KEY_FILE),
    )


def digest_of(fields: FieldBytes) -> bytes:
    """Tells one content from another; of key material, so it stays in memory."""
    digest = hashlib.sha256()
    for name, content in sorted(fields.items()):
        known = type(content).__name__.encode() if isinstance(content, OSError) else b"=" + content
        digest.update(f"{name} {len(known)} ".encode() + known)
    return digest.digest()


def parse_credentials(*, app_id: str, installation_id: str, private_key: str) -> AppCredentials:
    """Credentials from their texts, surrounding blanks ignored; raises CredentialInvalid."""
    app_id, installation_id = app_id.strip(), installation_id.strip()
    if not _APP_ID.fullmatch(app_id):
        raise _invalid(APP_ID_FILE, app_id, "the App's id, a number, or its client id")
    if not _INSTALLATION_ID.fullmatch(installation_id) or int(installation_id) == 0:
        raise _invalid(INSTALLATION_ID_FILE, installation_id, "the installation's id, a number")
    key = _parse_key(private_key)
    return AppCredentials(app_id, int(installation_id), key, key_fingerprint(key))


def app_jwt(credentials: AppCredentials, now: datetime) -> Secret:
    """A token that identifies the App itself, good for one request."""
    issued_at = int(now.timestamp()) - JWT_BACKDATE_SECONDS
    claims = {
        "iss": credentials.app_id,
        "iat": issued_at,
        "exp": int(now.timestamp()) + JWT_LIFETIME_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    return Secret(jwt.encode(claims, credentials.key, algorithm="RS256"))


def key_fingerprint(key: rsa.RSAPrivateKey) -> str:
    """SHA256: and the base64 digest of the public key, as on the App's settings page."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode()


def _version(folder: Path) -> Path | None:
    """Of a mounted Secret: each file is a link through `..data`, which is replaced as a whole, whereupon the version
    before is removed (Kubernetes, pkg/volume/util/atomic_writer.go). None for a folder that is no such mount."""
    link = folder / "..data"
    return link.readlink() if link.is_symlink() else None


def _read(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as failure:
        return failure


def _text(fields: FieldBytes, name: str) -> str:
    content = fields[name]
    if isinstance(content, FileNotFoundError):
        raise CredentialInvalid(name, CredentialProblem.MISSING, f"the App's Secret has no key {name}")
    failure: OSError | UnicodeDecodeError
    try:
        if isinstance(content, bytes):
            return content.decode("utf-8")
        failure = content
    except UnicodeDecodeError as undecodable:
        failure = undecodable
    message = f"the key {name} of the App's Secret cannot be read as text ({type(failure).__name__})"
    raise CredentialInvalid(name, CredentialProblem.MALFORMED, message)


def _invalid(name: str, text: str, expected: str) -> CredentialInvalid:
    if not text:
        return CredentialInvalid(name, CredentialProblem.MISSING, f"the key {name} of the App's Secret is empty")
    return CredentialInvalid(
        name, CredentialProblem.MALFORMED, f"the key {name} of the App's Secret must hold {expected}"
    )


def _parse_key(text: str) -> rsa.RSAPrivateKey:
    if not text.strip():
        raise _invalid(PRIVATE_KEY_FILE, "", "")
    problem = _unusable_pem(text)
    if problem is None:
        try:
            key = load_pem_private_key(text.strip().encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The parser's own text is left out: it describes the inside of a key.
            problem = "is damaged; download a new private key from the App's settings"
        else:
            if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_KEY_BITS:
                return key
            problem = f"is not an RSA key of at least {_SMALLEST_KEY_BITS} bits, the only kind that GitHub Apps use"
    raise CredentialInvalid(
        PRIVATE_KEY_FILE, CredentialProblem.MALFORMED, f"the key {PRIVATE_KEY_FILE} of the App's Secret {problem}"
    )


def _unusable_pem(text: str) -> str | None:
    """The common mistakes, each with its remedy."""
    if "PRIVATE KEY-----" not in text:
        what = "a public key or certificate" if "-----BEGIN" in text else "no PEM file"
        return f"holds {what}; it must be the private key as downloaded from the App's settings"
    if "ENCRYPTED" in text:
        return "is protected by a passphrase; store the key without one"
    if "\\n" in text:
        return r"holds \n where line breaks belong; create the Secret from the file, not from a quoted text"
    return None
