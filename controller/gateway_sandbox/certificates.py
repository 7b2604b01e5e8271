"""The sandbox's own certificate authority and server certificate, made anew for each sandbox.

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
_ADDRESSES = ("127.0.0.1",)


@dataclass(frozen=True, slots=True)
class SandboxCertificates:
    """Paths of the authority, the server certificate and its key, all in PEM."""

    ca_path: Path
    certificate_path: Path
    key_path: Path

    @property
    def ca_pem(self) -> str:
        """The authority's certificate."""
        return self.ca_path.read_text()

    @classmethod
    def create(cls, folder: Path) -> "SandboxCertificates":
        """Makes an authority (whose key is thrown away) and one server certificate for loopback."""
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _authority(ca_key, now)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _server_certificate(key, ca, ca_key, now)
        paths = cls(folder / "ca.crt", folder / "server.crt", folder / "server.key")
        paths.ca_path.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        paths.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths.key_path.touch(mode=0o600)
        paths.key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def server_context(self) -> ssl.SSLContext:
        """For a listener."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_path, self.key_path)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts this sandbox alone."""
        return ssl.create_default_context(cafile=str(self.ca_path))


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("Actions Gateway sandbox CA")
    return (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _HOST_NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    return (
        _builder(_name("Actions Gateway sandbox"), ca.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
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
