"""What gw knows of a cluster at one moment: each source gathered at most once, or the reason why it is not known."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, NoReturn, TypeVar

from gw.sources.definitions import DefinitionFact
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.platform import ManagerFact, ServedTypes
from gw.sources.pods import PodFact
from gw.sources.policies import PolicyFact
from gw.sources.prerequisites import MetricsFact, NetworkFact, PlaceFact
from gw.sources.rights import RightFact
from gw.sources.server import ClockFact, ServerFact

T = TypeVar("T")


class Need(StrEnum):
    """One source of facts; a check names those that it reads."""

    SERVED = "served types"
    MANAGER = "manager"
    GATEWAYS = "gateways"
    GROUPS = "runner groups"
    PODS = "pods"
    SERVER = "server"
    CLOCK = "clock"
    DEFINITIONS = "definitions"
    RIGHTS = "rights"
    POLICIES = "policies"
    POD_SECURITY = "pod security"
    NETWORK = "network plugin"
    METRICS = "metrics API"
    PLACE = "place"


class NotKnown(Exception):
    """A fact was asked for that could not be gathered."""

    def __init__(self, missing: "Missing") -> None:
        super().__init__(missing.reason)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """A gathered fact."""

    value: T


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a fact is not known, as one sentence that names the right when the caller lacks one."""

    reason: str
    next_step: str = ""
    is_forbidden: bool = False
    is_rejected: bool = False
    """The cluster does not accept the caller at all."""

    @property
    def value(self) -> NoReturn:
        raise NotKnown(self)


Fact = Known[T] | Missing

NOT_GATHERED = Missing("it was not asked for")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that checks look at. `namespace` is the tenant that was asked about, or None for all of them."""

    now: datetime
    namespace: str | None = None
    served: Fact[ServedTypes] = field(default=NOT_GATHERED)
    manager: Fact[ManagerFact] = field(default=NOT_GATHERED)
    gateways: Fact[tuple[GatewayFact, ...]] = field(default=NOT_GATHERED)
    groups: Fact[tuple[GroupFact, ...]] = field(default=NOT_GATHERED)
    pods: Fact[tuple[PodFact, ...]] = field(default=NOT_GATHERED)
    server: Fact[ServerFact] = field(default=NOT_GATHERED)
    clock: Fact[ClockFact | None] = field(default=NOT_GATHERED)
    """None when the server does not say what time it has."""
    definitions: Fact[tuple[DefinitionFact, ...]] = field(default=NOT_GATHERED)
    rights: Fact[tuple[RightFact, ...]] = field(default=NOT_GATHERED)
    policies: Fact[tuple[PolicyFact, ...]] = field(default=NOT_GATHERED)
    pod_security: Fact[bool] = field(default=NOT_GATHERED)
    """Whether the API server enforces Pod Security levels at all."""
    network: Fact[NetworkFact] = field(default=NOT_GATHERED)
    metrics: Fact[MetricsFact] = field(default=NOT_GATHERED)
    place: Fact[PlaceFact] = field(default=NOT_GATHERED)
