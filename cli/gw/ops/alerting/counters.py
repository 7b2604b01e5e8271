"""Alertmanager's counters of notifications, by integration: what was tried, what failed and why; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_ATTEMPTS = "alertmanager_notification_requests_total"
_FAILURES = "alertmanager_notification_requests_failed_total"
_GIVEN_UP = "alertmanager_notifications_failed_total"
"""It alone says why, since 0.27."""
_WANTED = (_ATTEMPTS, _FAILURES, _GIVEN_UP)

Key = tuple[str, str, str]
"""Name, integration, reason."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of some integrations."""

    attempts: float
    failures: float
    given_up: float
    """Notifications that are not tried any more."""
    failing: tuple[str, ...]
    """Integrations with failures."""
    reasons: tuple[str, ...]

    @property
    def successes(self) -> float:
        return self.attempts - self.failures


@dataclass(frozen=True, slots=True)
class Counters:
    """All of one moment, or what has been added between two."""

    values: Mapping[Key, float]

    def since(self, before: "Counters") -> "Counters":
        """What has been added; after a restart all of it."""
        added = {key: value - before.values.get(key, 0.0) for key, value in self.values.items()}
        return Counters({key: self.values[key] if value < 0 else value for key, value in added.items()})

    def of(self, integrations: Iterable[str]) -> Counts:
        """Of these alone."""
        chosen = {key: value for key, value in self.values.items() if key[1] in set(integrations) and value > 0}
        failed = [key for key in chosen if key[0] in (_FAILURES, _GIVEN_UP)]
        sums = {name: sum(value for key, value in chosen.items() if key[0] == name) for name in _WANTED}
        return Counts(
            sums[_ATTEMPTS],
            sums[_FAILURES],
            sums[_GIVEN_UP],
            tuple(sorted({integration for _, integration, _ in failed})),
            tuple(sorted({reason for _, _, reason in failed if reason})),
        )


def read_counters(exposition: str) -> Counters:
    """Of the text of `/metrics`; receivers of the same integration are added up."""
    values: dict[Key, float] = {}
    for key, value in _samples(exposition):
        values[key] = values.get(key, 0.0) + value
    return Counters(values)


def _samples(exposition: str) -> Iterator[tuple[Key, float]]:
    from prometheus_client.parser import text_string_to_metric_families

    lines = [line for line in exposition.splitlines() if line.startswith(_WANTED)]
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            # Without its type a counter's name is its family's.
            if sample.name in _WANTED:
                labels = sample.labels
                yield (sample.name, labels.get("integration", ""), labels.get("reason", "")), float(sample.value)
