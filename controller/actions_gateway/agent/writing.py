"""Writes of the agent to the Kubernetes API that have to come true."""

from collections.abc import Awaitable, Callable

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import Conflict, KubeError, NotFound
from actions_gateway.kube.resources import Resource

log = structlog.get_logger(__name__)


async def delete_own(client: KubeClient, resource: Resource, name: str, *, namespace: str, uid: str) -> bool:
    """Whether this deleted the object; False when it is gone or another one has its name. Raises KubeError."""
    try:
        await client.delete(resource, name, namespace=namespace, uid=uid)
    except (NotFound, Conflict):
        return False
    return True


async def until_written(write: Callable[[], Awaitable[object]], basics: Basics, *, what: str) -> None:
    """Repeats `write` until it raises no KubeError, however long that takes."""
    failures = 0
    while True:
        try:
            await write()
        except KubeError as problem:
            failures += 1
            asked = problem.retry_after_seconds
            delay = basics.tunables.write_backoff.delay_seconds(failures, basics.rng, asked_seconds=asked)
            log.warning("write failed", what=what, problem=problem.message, retry_in_seconds=round(delay, 1))
            await basics.clock.sleep(delay)
        else:
            return
