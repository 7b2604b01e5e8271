"""Prepares a hand-over, signs it, and says whether a signed one was edited."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube.resources import CONFIGMAPS
from gw.checks.belonging import own_series
from gw.checks.catalog import HEALTH
from gw.checks.engine import judge, needs_of
from gw.errors import GwError, Refused
from gw.ops.handoff.checklist import NOBODYS, judge_items
from gw.ops.handoff.difference import compare, problems_of, unknown_of
from gw.ops.handoff.model import Handoff, Signature
from gw.ops.handoff.rates import extras_of
from gw.ops.handoff.shift import lost_jobs_of, sections_of
from gw.ops.recordkeeping import ask_author, role_step
from gw.ops.tenants import not_a_tenant
from gw.sources.cluster import Cluster, asking
from gw.sources.facts import Fact, Facts, Known, Need, NotKnown
from gw.sources.gathering import DISCOVERED, gather_facts, read_fact
from gw.sources.places import Endpoints, Sources
from gw.sources.records import KEPT, HandoverRecord, RecordsFact, gather_records, render_record
from gw.sources.shift import gather_shift
from gw.sources.shiftseries import ShiftSeriesFact, gather_shift_series

NEEDS = needs_of(HEALTH) | {Need.GATEWAYS, Need.LOST_JOBS, Need.ALERTING, Need.SERIES, Need.MANAGER_PODS, Need.PODS}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    namespace: str | None
    since: datetime
    to: str = ""
    note: str = ""


async def prepare(cluster: Cluster, request: Request, clock: Clock, sources: Sources = DISCOVERED) -> Handoff:
    """Looks at everything; writes nothing. Raises Refused for a namespace that is no tenant, CredentialsRejected."""
    namespace, since = request.namespace, request.since
    facts, shift = await asyncio.gather(
        gather_facts(cluster, namespace, NEEDS, clock, sources), gather_shift(cluster, namespace, since)
    )
    if namespace and facts.gateways == Known(()):
        raise await not_a_tenant(cluster, namespace)
    shift = replace(shift, series=await _series(cluster, facts, since, sources))
    results = judge(HEALTH, facts)
    return Handoff(
        cluster=cluster.host,
        namespace=namespace,
        at=facts.now,
        since=since,
        to=request.to,
        note=request.note,
        items=judge_items(results, facts, extras_of(facts, shift)),
        sections=sections_of(facts, shift),
        lost_jobs=lost_jobs_of(facts, since),
        difference=compare(shift.records, results, namespace=namespace, since=since, now=facts.now),
        checks=results,
    )


async def _series(cluster: Cluster, facts: Facts, since: datetime, sources: Sources) -> Fact[ShiftSeriesFact]:
    """Asked last: whose series are this cluster's has to be known first."""
    try:
        clusters = own_series(facts).clusters
    except NotKnown as blind:
        return blind.missing
    if not clusters:
        return NOBODYS
    async with Endpoints(sources, cluster, facts.namespace) as endpoints:

        async def gather() -> ShiftSeriesFact:
            endpoint = await endpoints.prometheus()
            return await gather_shift_series(endpoint, since, facts.now, clusters, facts.namespace)

        return await read_fact("ask Prometheus", gather)


async def sign(cluster: Cluster, handoff: Handoff, *, markdown: str, canonical: str) -> tuple[Signature, str]:
    """Stores the hand-over; returns its signature, and a remark when somebody else handed over meanwhile.

    `markdown` and `canonical` are the document's two forms without a signature. Raises GwError when it was not stored.
    """
    by = await ask_author(cluster, "the hand-over above is not signed")
    record = HandoverRecord(
        at=handoff.at,
        since=handoff.since,
        by=by,
        to=handoff.to,
        note=handoff.note,
        namespace=handoff.namespace,
        states=tuple(item.state.value for item in handoff.items),
        problems=problems_of(handoff.checks),
        unknown=unknown_of(handoff.checks),
        checks=tuple(result.check.id for result in handoff.checks),
        markdown_checksum=checksum(markdown),
        json_checksum=checksum(canonical),
    )
    doing = "store the hand-over"
    try:
        with asking(doing, writes=True):
            name = await _store(cluster, record, markdown)
    except GwError as problem:
        raise _explained(problem, by) from problem
    remark = await _after(cluster, handoff, name)
    return Signature(by, handoff.at, handoff.to, name, record.markdown_checksum, record.json_checksum), remark


async def _store(cluster: Cluster, record: HandoverRecord, document: str) -> str:
    """Creates the ConfigMap of a record and returns its name; raises KubeError (AlreadyExists for the same again)."""
    manifest = render_record(record, document)
    stored = await cluster.create(CONFIGMAPS, manifest)
    return str(stored["metadata"]["name"])


async def _prune(cluster: Cluster, records: RecordsFact) -> int:
    """Deletes all but the latest, and the latest about each tenant; returns how many are gone. Raises KubeError."""
    gone = 0
    for record in records.records[KEPT:]:
        if record == records.latest(record.namespace):
            continue
        try:
            await cluster.delete(CONFIGMAPS, record.name, namespace=MANAGER_NAMESPACE)
        except errors.NotFound:
            continue  # Somebody who handed over at the same time was faster.
        gone += 1
    return gone


def _explained(problem: GwError, by: str) -> GwError:
    """The role that is missing, instead of the general advice."""
    cause = problem.__cause__
    if isinstance(cause, errors.AlreadyExists):
        return Refused("this very hand-over is stored already", "See it with `kubectl get cm -n gmc-system`.")
    if not isinstance(cause, errors.Forbidden):
        return problem
    return Refused(f"the hand-over above is not signed: {problem.what}", role_step(by))


async def _after(cluster: Cluster, handoff: Handoff, name: str) -> str:
    """Tidies up. The hand-over is stored, so a failure here is no failure of it."""
    try:
        records = await gather_records(cluster)
        await _prune(cluster, records)
    except errors.KubeError as problem:
        return f"old hand-overs were left where they are: {problem.message}"
    known = handoff.difference.last.name if handoff.difference.last else ""
    for record in records.records:
        if record.namespace == handoff.namespace and record.name not in (name, known):
            is_meanwhile = handoff.difference.last is None or record.at > handoff.difference.last.at
            if is_meanwhile and not handoff.difference.gaps:
                return f"{record.by} handed over as well, at {record.at:%Y-%m-%d %H:%M:%S} UTC: {record.name}"
            break
    return ""


def checksum(text: str) -> str:
    """Of a document's text, whatever somebody has made of it."""
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
