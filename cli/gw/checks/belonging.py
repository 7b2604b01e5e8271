"""Which of a Prometheus's series are this cluster's: those of the manager that tells of this cluster's gateways.

A Prometheus may watch a fleet, or another cluster by mistake. Names do not tell, since two clusters may have a tenant
of the same name; the uid of a gateway's object does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gw.sources.facts import Facts, Missing, NotKnown
from gw.sources.series import LAST_SEEN, SeriesFact, SeriesQuery
from gw_alerts.thresholds import SERIES_OLD_SECONDS

_NAME_ANOTHER = "Name this cluster's with --prometheus-url URL."


@dataclass(frozen=True, slots=True)
class OwnSeries:
    """This cluster's values."""

    source: str
    clusters: tuple[str, ...]
    """Its `cluster` labels, the one of the newest samples first; empty while it has no gateway to be known by."""
    values: Mapping[SeriesQuery, Mapping[tuple[str, ...], float]]

    def of(self, query: SeriesQuery) -> Mapping[tuple[str, ...], float]:
        """By the query's labels."""
        found: dict[tuple[str, ...], float] = {}
        for cluster in self.clusters:
            for (of_cluster, *labels), value in self.values[query].items():
                if of_cluster == cluster:
                    found.setdefault(tuple(labels), value)
        return found


def own_series(facts: Facts) -> OwnSeries:
    """Raises NotKnown when the Prometheus is another cluster's, scrapes nothing of ours, or has only old samples."""
    series, uids = facts.series.value, {gateway.uid for gateway in facts.gateways.value}
    seen = {cluster: moment for (cluster,), moment in series.values[LAST_SEEN].items()}
    own = {cluster for cluster, uid in series.gateways if uid in uids}
    clusters = tuple(sorted(own, key=lambda cluster: (-seen.get(cluster, 0.0), cluster)))
    if uids and not clusters:
        raise NotKnown(_not_ours(series, facts, knows_project=bool(seen)))
    age_seconds = series.at.timestamp() - max((seen.get(cluster, 0.0) for cluster in clusters), default=0.0)
    if clusters and age_seconds > SERIES_OLD_SECONDS.value:
        age = f"{age_seconds / 60:.0f} min old" if age_seconds < 86400 else "over a day old"
        raise NotKnown(
            Missing(
                f"{series.source} has nothing new of this cluster: the newest sample is {age}",
                "See whether it scrapes, and whether manager and agents run: "
                "gw health --check manager.running --check agent.available",
            )
        )
    return OwnSeries(series.source, clusters, series.values)


def _not_ours(series: SeriesFact, facts: Facts, *, knows_project: bool) -> Missing:
    ages = [(facts.now - each.created_at).total_seconds() for each in facts.gateways.value if each.created_at]
    is_one = facts.namespace is not None
    if knows_project and ages and max(ages) <= SERIES_OLD_SECONDS.value:
        whose = (
            "does not know this gateway yet: it is" if is_one else "knows no gateway of this cluster yet: the oldest is"
        )
        return Missing(f"{series.source} {whose} {max(ages):.0f} s old", "Look again in a few minutes.")
    if series.gateways and is_one:
        # What other tenants are called is no concern of this one's people.
        return Missing(
            f"{series.source} does not know this gateway: it is of another cluster, or the manager does not tell of it",
            _NAME_ANOTHER,
            is_lasting=True,
        )
    others = sorted({(cluster, name) for (cluster, _), name in series.gateways.items()})
    if others:
        cluster, name = others[0]
        where = f" of cluster {cluster!r}" if cluster else ""
        count = f"{len(others)} gateways, such as {name}{where}," if len(others) > 1 else f"the gateway {name}{where}"
        return Missing(
            f"{series.source} is of another cluster: it knows {count} and none of this one's",
            _NAME_ANOTHER,
            is_lasting=True,
        )
    if knows_project:
        return Missing(
            f"{series.source} has heard of no gateway within a day: it does not scrape the manager, "
            "or that is of an earlier release",
            "kubectl get servicemonitors -n gmc-system",
        )
    return Missing(
        f"{series.source} scrapes nothing of Actions Gateway: it is not set up for it, or of another cluster",
        f"Set it up with `gw install --monitoring with`, or: {_NAME_ANOTHER[0].lower()}{_NAME_ANOTHER[1:]}",
        is_lasting=True,
    )
