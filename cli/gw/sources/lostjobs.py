"""Jobs that lost their worker, as each tenant's ledger keeps them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.api.ledger import LostJob, RunEntry, parse, parse_run_id
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.sources.cluster import Cluster

UNREADABLE = "unreadable"
"""The state of an entry that a later release or a person wrote: what it says is not known."""

_LEDGERS = f"{labels.MANAGED_BY}={labels.BY_AGENT},{labels.APP_PART_OF}={labels.PART_OF}"


@dataclass(frozen=True, slots=True)
class LostJobFact:
    """One job, lost in one attempt of its run."""

    namespace: str
    repository: str
    run_id: int
    job_id: int | None
    name: str
    group: str
    runner: str
    """The registration that had it; unique, so it names this loss."""
    cause: str
    attempt: int
    lost_at: datetime | None
    """None of an entry that cannot be read."""
    state: str
    """What has become of it: `actions_gateway.api.ledger.RerunState`, or UNREADABLE."""
    retries: int
    """Reruns that its run's budget was charged with."""
    request: str = ""
    """The token of the last request of a person for its rerun; empty while there was none."""


async def gather_lost_jobs(cluster: Cluster, namespace: str | None) -> tuple[LostJobFact, ...]:
    """The lost jobs of one tenant or of all, the latest first; a tenant that never lost one has no ledger."""
    if namespace is None:
        found = (await cluster.list(r.CONFIGMAPS, label_selector=_LEDGERS)).items
        ledgers = [ledger for ledger in found if ledger["metadata"]["name"] == names.RERUN_LEDGER]
    else:
        try:
            ledgers = [await cluster.get(r.CONFIGMAPS, names.RERUN_LEDGER, namespace)]
        except errors.NotFound:
            return ()
    facts = [fact for ledger in ledgers for fact in parse_ledger(ledger)]
    return tuple(sorted(facts, key=_latest_first))


def parse_ledger(manifest: Mapping[str, Any]) -> Iterator[LostJobFact]:
    """The lost jobs of a ledger's ConfigMap."""
    namespace = str(manifest["metadata"].get("namespace") or "")
    for key, text in (manifest.get("data") or {}).items():
        try:
            if (run_id := parse_run_id(key)) is None:
                continue
            entry = parse(text)
        except ValueError:
            if key.isdecimal() and len(key) < 20:
                yield LostJobFact(namespace, "", int(key), None, "", "", "", "", 0, None, UNREADABLE, 0)
            continue
        yield from (_fact(namespace, run_id, entry, job) for job in entry.jobs.values())


def _fact(namespace: str, run_id: int, entry: RunEntry, job: LostJob) -> LostJobFact:
    return LostJobFact(
        namespace=namespace,
        repository=entry.repository,
        run_id=run_id,
        job_id=job.job_id,
        name=job.name,
        group=job.group,
        runner=job.runner,
        cause=job.cause.value,
        attempt=job.attempt,
        lost_at=job.lost_at,
        state=job.state.value,
        retries=entry.retries,
        request=job.request,
    )


def _latest_first(fact: LostJobFact) -> tuple[str, float, int, str]:
    lost = fact.lost_at.timestamp() if fact.lost_at is not None else 0.0
    return fact.namespace, -lost, fact.run_id, fact.runner
