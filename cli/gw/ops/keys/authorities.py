"""The certificate authorities by which GitHub is asked from here: those of the option, else the gateway's own.

What the agent trusts beside the system's authorities (`spec.caBundleRef`) is what whoever asks in its place has to
trust, too: a GitHub Enterprise Server or an intercepting proxy shows the same certificate to both.
"""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import GwError, Refused
from gw.ops.onboarding.manifests import CA_KEY
from gw.ops.onboarding.request import read_ca_bundle
from gw.sources.cluster import Cluster, asking

Manifest = Mapping[str, Any]


@asynccontextmanager
async def trusted_authorities(cluster: Cluster, live: Manifest, named: Path | None) -> AsyncIterator[Path | None]:
    """A PEM file for the time of the block, None for the system's authorities alone.

    `live` is the gateway's object, `named` the option's file, which wins. Raises Refused for a bundle that does not
    exist or holds no certificate, Blind when the gateway's cannot be read.
    """
    reference = (live.get("spec") or {}).get("caBundleRef")
    if named is not None or not reference:
        read_ca_bundle(named)
        yield named
        return
    text = await _read(cluster, live, str(reference["name"]), str(reference.get("key") or CA_KEY))
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        path = Path(folder) / CA_KEY
        path.write_text(text, "utf-8")
        try:
            read_ca_bundle(path)
        except Refused as problem:
            raise _unusable(live, str(reference["name"]), "holds no certificate") from problem
        yield path


async def _read(cluster: Cluster, live: Manifest, name: str, key: str) -> str:
    try:
        with asking(f"read the ConfigMap {name}, which has the gateway's certificate authorities"):
            try:
                found = await cluster.get(r.CONFIGMAPS, name, live["metadata"]["namespace"])
            except errors.NotFound as problem:
                raise _unusable(live, name, "does not exist") from problem
    except Refused:
        raise
    except GwError as problem:
        problem.next_step = f"{problem.next_step} With --ca-bundle-file it is not read."
        raise
    text = (found.get("data") or {}).get(key)
    if text is None:
        raise _unusable(live, name, f"has no key {key}")
    return str(text)


def _unusable(live: Manifest, name: str, problem: str) -> Refused:
    namespace = live["metadata"]["namespace"]
    return Refused(
        f"the ConfigMap {name}, which caBundleRef of the gateway {live['metadata']['name']} names, {problem}",
        f"Mend it with `gw tenant update {namespace} --ca-bundle-file FILE`; this command takes that option, too.",
    )
