"""The sandbox's own certificate authorities and what they sign, made anew for each sandbox.

HTTPS on loopback is needed, since kubectl sends no bearer token over plain HTTP and the gateway accepts only https
URLs of GitHub. The extensions are those that Python's strict X.509 verification asks for.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=30)
_HOST_NAMES = ("localhost",)
GITHUB_ADDRESS = "127.0.0.2"
"""Where the simulated GitHub listens: programs bypass every proxy for 127.0.0.1 and localhost."""
_ADDRESSES = ("127.0.0.1", GITHUB_ADDRESS)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of a certificate and its key, both in PEM."""

    certificate_path: Path
    key_path: Path


class CertificateAuthority:
    """An authority whose key lives in this process only."""

    def __init__(self, folder: Path, *, stem: str, common_name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _authority(self._key, common_name)
        self.path = folder / f"{stem}.crt"
        """Its certificate."""
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue_server(self, stem: str, common_name: str, *, names: tuple[str, ...] = ()) -> KeyPair:
        """A certificate for a listener on loopback, reachable under further DNS `names`."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in (*_HOST_NAMES, *names)]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
        return self._issue(self._folder / stem, _name(common_name), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def issue_client(
        self, stem: str, user: str, groups: tuple[str, ...] = (), *, folder: Path | None = None
    ) -> KeyPair:
        """A certificate that the Kubernetes API takes for `user` in `groups` (Kubernetes, "Authenticating").

        It is written to `folder`, else beside the authority's.
        """
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        return self._issue((folder or self._folder) / stem, subject, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _issue(
        self, place: Path, subject: x509.Name, usage: x509.ObjectIdentifier, alternatives: list[x509.GeneralName]
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = KeyPair(place.with_name(f"{place.name}.crt"), place.with_name(f"{place.name}.key"))
        pair.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private_key(pair.key_path, key)
        return pair


@dataclass(frozen=True, slots=True)
class SandboxCertificates:
    """The sandbox's authority and the server certificate that its listeners share."""

    authority: CertificateAuthority
    server: KeyPair

    @property
    def ca_path(self) -> Path:
        """The authority's certificate."""
        return self.authority.path

    @property
    def ca_pem(self) -> str:
        """The authority's certificate as text."""
        return self.ca_path.read_text()

    @classmethod
    def create(cls, folder: Path) -> "SandboxCertificates":
        """Makes an authority and one server certificate for loopback."""
        authority = CertificateAuthority(folder, stem="ca", common_name="Actions Gateway sandbox CA")
        return cls(authority, authority.issue_server("server", "Actions Gateway sandbox"))

    def server_context(self, pair: KeyPair | None = None, *, clients: Path | None = None) -> ssl.SSLContext:
        """For a listener, with `pair` in place of the shared certificate.

        With `clients`, the path of an authority, callers have to present a certificate of it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own = pair or self.server
        context.load_cert_chain(own.certificate_path, own.key_path)
        if clients is not None:
            context.load_verify_locations(cafile=str(clients))
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts this sandbox alone."""
        return ssl.create_default_context(cafile=str(self.ca_path))


def write_private_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """The key in PEM, readable by its owner only."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _authority(key: ec.EllipticCurvePrivateKey, common_name: str) -> x509.Certificate:
    name = _name(common_name)
    return (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
