"""What a job's steps are told of proxies.

Source: actions/runner `src/Runner.Sdk/RunnerWebProxy.cs` (lower case wins, a missing scheme is http, both cases are set
again for every process that the runner starts).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXIES = ("http_proxy", "https_proxy")
_BYPASS = "no_proxy"


def proxies_for_steps(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables in both cases; none without a proxy, whose exceptions would mean nothing."""
    found = {name: value for name in _PROXIES if (value := _either(environ, name))}
    if not found:
        return {}
    found = {name: value if "://" in value else f"http://{value}" for name, value in found.items()}
    if bypass := _either(environ, _BYPASS):
        found[_BYPASS] = bypass
    return {**found, **{name.upper(): value for name, value in found.items()}}


def _either(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()
