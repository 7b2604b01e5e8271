"""Makes every client inside the job trust the extra authorities: a GitHub Enterprise server's and the egress proxy's.

.NET and OpenSSL read one bundle named by SSL_CERT_FILE; node adds NODE_EXTRA_CA_CERTS to its built-in roots and ignores
SSL_CERT_FILE; git with GnuTLS, curl and Python's requests and pip each have a variable of their own (their manuals).
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH118, PTH123
from __future__ import annotations

import os

from .errors import StartError
from .staging import write_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
BUNDLE_VARIABLES = ("GIT_SSL_CAINFO", "GIT_PROXY_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def trust_extra_authorities(
    extra_ca_paths: tuple[tuple[str, str], ...], runner_home: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """Writes the bundles into the runner's home; returns the variables to set, none without extra authorities.

    `extra_ca_paths` are pairs of the variable's name and its path. A missing or blank file is skipped, an unreadable
    one raises StartError. What the image already trusts by its own variables stays trusted.
    """
    extras = _distinct([_read(name, path) for name, path in extra_ca_paths])
    if not extras:
        return {}
    base = _first_readable((environ.get("SSL_CERT_FILE", ""), *SYSTEM_BUNDLES))
    node_base = _first_readable((environ.get("NODE_EXTRA_CA_CERTS", ""),))
    bundle = os.path.join(runner_home, "ca-bundle.crt")
    node_bundle = os.path.join(runner_home, "ca-extra.crt")
    write_private(bundle, _joined([base, *extras]), mode=0o644)
    write_private(node_bundle, _joined([node_base, *extras]), mode=0o644)
    chosen = {name: environ.get(name) or bundle for name in BUNDLE_VARIABLES}
    return {**chosen, "SSL_CERT_FILE": bundle, "NODE_EXTRA_CA_CERTS": node_bundle}


def _read(name: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read().strip()
    except FileNotFoundError:
        return b""
    except OSError as exc:
        raise StartError(f"cannot read the certificates that {name} names at {path}: {exc.strerror}") from exc


def _first_readable(paths: tuple[str, ...]) -> bytes:
    for path in paths:
        try:
            with open(path, "rb") as file:
                return file.read().strip()
        except OSError:
            continue
    return b""


def _distinct(parts: list[bytes]) -> list[bytes]:
    return [part for part in dict.fromkeys(parts) if part]


def _joined(parts: list[bytes]) -> bytes:
    return b"\n".join(part for part in parts if part) + b"\n"
