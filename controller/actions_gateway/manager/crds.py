"""The start-up check: the manager works only on custom resource definitions that know every field it needs.

A server with an older schema drops unknown fields without a word: what a tenant asks for would be ignored, and a status
that cannot be stored would be written for ever. So a replica that finds one competes for no lease and is not ready,
says what is missing, and looks again. It does not exit: a crash loop hides its reason in a log that is gone, and a
replica that is not ready stops a rollout, so that the older manager goes on until the definitions are updated.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import KubeError, NotFound
from actions_gateway.kube.resources import CRDS

log = structlog.get_logger(__name__)

_PAUSE = Backoff(base_seconds=1.0, cap_seconds=30.0)
_NAMED_FIELDS = 5
_NEXT_STEP = "run 'gw install' of this release; the manager looks again by itself"

Schema = Mapping[str, Any]


async def until_crds_suffice(
    client: KubeClient, *, clock: Clock, rng: random.Random, backoff: Backoff | None = None
) -> None:
    """Returns once both definitions serve what this manager needs; logs what is missing at every look before."""
    failures = 0
    while problem := await _problem(client):
        failures += 1
        pause = (backoff or _PAUSE).delay_seconds(failures, rng)
        log.error("manager does not start", problem=problem, retry_in_seconds=round(pause, 1))
        await clock.sleep(pause)


async def _problem(client: KubeClient) -> str:
    for needed in (gateway_crd(), runner_group_crd()):
        name = str(needed["metadata"]["name"])
        try:
            served = await client.get(CRDS, name)
        except NotFound:
            return f"CustomResourceDefinition {name} is not installed: {_NEXT_STEP}"
        except KubeError as problem:
            return f"CustomResourceDefinition {name} cannot be read: {problem.message}"
        if lacking := missing_parts(needed, served):
            more = f" and {len(lacking) - _NAMED_FIELDS} more" if len(lacking) > _NAMED_FIELDS else ""
            named = ", ".join(lacking[:_NAMED_FIELDS]) + more
            return f"CustomResourceDefinition {name} is older than this manager, it lacks {named}: {_NEXT_STEP}"
    return ""


def missing_parts(needed: Manifest, served: Manifest) -> list[str]:
    """What the served definition lacks: a version, its status subresource, or the topmost fields ("spec.paused")."""
    (version,) = needed["spec"]["versions"]
    found = next((one for one in served["spec"]["versions"] if one["name"] == version["name"]), None)
    if found is None or not found.get("served"):
        return [f"version {version['name']}"]
    lacking = [] if "status" in (found.get("subresources") or {}) else ["the status subresource"]
    schema = (found.get("schema") or {}).get("openAPIV3Schema") or {}
    return lacking + list(_missing_fields(version["schema"]["openAPIV3Schema"], schema, ""))


def _missing_fields(needed: Schema, served: Schema, path: str) -> Iterator[str]:
    if served.get("x-kubernetes-preserve-unknown-fields"):
        return
    for name, child in (needed.get("properties") or {}).items():
        place = f"{path}.{name}" if path else name
        if (known := (served.get("properties") or {}).get(name)) is None:
            yield place
        else:
            yield from _missing_fields(child, known, place)
    for part, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(needed.get(part), dict):
            known = served.get(part)
            yield from _missing_fields(needed[part], known if isinstance(known, dict) else {}, path + suffix)
