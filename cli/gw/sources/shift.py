"""What a hand-over reads beside the facts of health: who edited what, earlier records, and the shift's series.

Every kind of object is listed once, whatever the number of tenants.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from actions_gateway.kube import resources as r
from gw.sources.changes import PART_OF_US, ObjectFact, gather_objects
from gw.sources.cluster import Cluster
from gw.sources.facts import NOT_GATHERED, Fact
from gw.sources.gathering import read_fact
from gw.sources.incidents import IncidentsFact, gather_incidents
from gw.sources.records import RecordsFact, gather_records
from gw.sources.shiftseries import ShiftSeriesFact


@dataclass(frozen=True, slots=True)
class ShiftFacts:
    """All of it."""

    since: datetime
    gateways: Fact[tuple[ObjectFact, ...]] = field(default=NOT_GATHERED)
    quotas: Fact[tuple[ObjectFact, ...]] = field(default=NOT_GATHERED)
    deployments: Fact[tuple[ObjectFact, ...]] = field(default=NOT_GATHERED)
    records: Fact[RecordsFact] = field(default=NOT_GATHERED)
    incidents: Fact[IncidentsFact] = field(default=NOT_GATHERED)
    series: Fact[ShiftSeriesFact] = field(default=NOT_GATHERED)


async def gather_shift(cluster: Cluster, namespace: str | None, since: datetime) -> ShiftFacts:
    """The shift of one tenant, or of all with None; what cannot be read is Missing."""
    gateways, quotas, deployments, records, incidents = await asyncio.gather(
        read_fact("list gateways", lambda: gather_objects(cluster, r.ACTIONSGATEWAYS, namespace)),
        read_fact("list quotas", lambda: gather_objects(cluster, r.RESOURCEQUOTAS, namespace)),
        read_fact("list deployments", lambda: gather_objects(cluster, r.DEPLOYMENTS, namespace, PART_OF_US)),
        read_fact("read the last hand-over", lambda: gather_records(cluster)),
        read_fact("read the incidents", lambda: gather_incidents(cluster)),
    )
    return ShiftFacts(since, gateways, quotas, deployments, records, incidents)
