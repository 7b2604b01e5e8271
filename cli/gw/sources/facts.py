"""What gw knows of a cluster at one moment: each source gathered at most once, or the reason why it is not known."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, NoReturn, TypeVar

from gw.sources.alerting import AlertingFact
from gw.sources.autoscalers import AutoscalerFact
from gw.sources.definitions import DefinitionFact
from gw.sources.events import GivenUpFact
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.github import GitHubFact
from gw.sources.lostjobs import LostJobFact
from gw.sources.monitoring import MonitoringFact
from gw.sources.platform import ManagerFact, ServedTypes, WorkloadFact
from gw.sources.pods import PodFact
from gw.sources.policies import PolicyFact
from gw.sources.prerequisites import MetricsFact, NetworkFact, PlaceFact
from gw.sources.quotas import QuotaFact
from gw.sources.rights import RightFact
from gw.sources.series import SeriesFact
from gw.sources.server import ClockFact, ServerFact

T = TypeVar("T")


class Need(StrEnum):
    """One source of facts; a check names those that it reads."""

    SERVED = "served types"
    MANAGER = "manager"
    GATEWAYS = "gateways"
    GROUPS = "runner groups"
    PODS = "pods"
    MANAGER_PODS = "manager pods"
    WORKLOADS = "workloads"
    EVENTS = "events"
    SERVER = "server"
    CLOCK = "clock"
    DEFINITIONS = "definitions"
    RIGHTS = "rights"
    POLICIES = "policies"
    POD_SECURITY = "pod security"
    NETWORK = "network plugin"
    METRICS = "metrics API"
    PLACE = "place"
    QUOTAS = "quotas"
    AUTOSCALERS = "autoscalers"
    LOST_JOBS = "lost jobs"
    GITHUB = "GitHub"
    SERIES = "series"
    MONITORING = "Prometheus"
    ALERTING = "Alertmanager"

    @property
    def fact(self) -> str:
        """The name of its field in `Facts`."""
        return self.name.lower()


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
    is_down: bool = False
    """It is known where to ask, and nobody answers there: to a check of that place a problem of its own."""
    is_lasting: bool = False
    """Waiting is vain: it takes a right, another address, or a person."""
    is_platforms: bool = False
    """It is the platform's to see, and the caller lacks the right: no tenant needs it, whatever check reads it."""

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
    workloads: Fact[tuple[WorkloadFact, ...]] = field(default=NOT_GATHERED)
    manager_pods: Fact[tuple[PodFact, ...]] = field(default=NOT_GATHERED)
    events: Fact[tuple[GivenUpFact, ...]] = field(default=NOT_GATHERED)
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
    quotas: Fact[tuple[QuotaFact, ...]] = field(default=NOT_GATHERED)
    autoscalers: Fact[tuple[AutoscalerFact, ...]] = field(default=NOT_GATHERED)
    lost_jobs: Fact[tuple[LostJobFact, ...]] = field(default=NOT_GATHERED)
    github: Fact[GitHubFact | None] = field(default=NOT_GATHERED)
    """None when the caller has no key to ask GitHub with."""
    series: Fact[SeriesFact] = field(default=NOT_GATHERED)
    monitoring: Fact[MonitoringFact] = field(default=NOT_GATHERED)
    alerting: Fact[AlertingFact] = field(default=NOT_GATHERED)
