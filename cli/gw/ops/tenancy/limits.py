"""How near a tenant is to its quotas: arithmetic over stored objects."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from actions_gateway.api.quantities import parse_quantity
from gw.checks.headroom import reserved_for
from gw.sources.gateways import GroupFact
from gw.sources.quotas import QuotaFact, written


@dataclass(frozen=True, slots=True)
class KeyShare:
    """One key of one quota; amounts as the cluster writes them."""

    quota: str
    key: str
    used: str | None
    """None until the quota controller has counted."""
    hard: str

    @property
    def share(self) -> Fraction | None:
        """Used of hard, a key without any room counts as full; None while nothing is counted."""
        if self.used is None:
            return None
        hard = parse_quantity(self.hard)
        return parse_quantity(self.used) / hard if hard else Fraction(1)

    @property
    def percent(self) -> int | None:
        """Rounded down."""
        return None if self.share is None else int(self.share * 100)


def shares_of(quotas: Iterable[QuotaFact]) -> tuple[KeyShare, ...]:
    """Every key of the quotas, the one nearest to its limit first, those that nobody has counted last."""
    shares = [
        KeyShare(quota.name, key, quota.used.get(key), hard)
        for quota in quotas
        for key, hard in (quota.enforced or quota.wanted).items()
    ]
    return tuple(sorted(shares, key=lambda each: (each.share is None, -(each.share or 0), each.quota, each.key)))


def shortfalls(groups: Iterable[GroupFact], quotas: Iterable[QuotaFact]) -> tuple[str, ...]:
    """What each quota lacks when all groups are at their ceilings, as sentences without a full stop."""
    found, groups = list[str](), tuple(groups)
    for quota in quotas:
        total = dict[str, Fraction]()
        try:
            for group in groups:
                for key, amount in reserved_for(group, quota).items():
                    total[key] = total.get(key, Fraction(0)) + amount
        except ValueError as problem:
            found.append(f"whether quota {quota.name} holds the ceilings cannot be told: {problem}")
            continue
        hard = quota.enforced or quota.wanted
        found += [
            f"quota {quota.name} does not hold all ceilings: their workers take {written(key, amount)} of {key}, "
            f"and it has {hard[key]}"
            for key, amount in sorted(total.items())
            if amount > parse_quantity(hard[key])
        ]
    return tuple(found)
