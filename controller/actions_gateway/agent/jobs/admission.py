"""Admission: whether a group may claim a job now, decided before the claim, since what was claimed has to run.

A place is reserved before the claim and freed when the job ends, so claims in flight count; against the namespace's
quotas they count until their pods exist. Workers that an earlier agent process left running count, too. After a worker
that could not be made or did not start the group waits, longer each time, and then tries with one job.
"""

import random
from collections.abc import Sequence
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.signals import Signal
from actions_gateway.api.footprint import Footprint, footprint_of
from actions_gateway.api.runnergroup import PriorityTier
from actions_gateway.api.waits import WaitReason
from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock

log = structlog.get_logger(__name__)


class Reservation:
    """One place; every call is idempotent."""

    __slots__ = ("_admission", "_footprint", "_is_held", "_is_pending", "_is_placed", "_round", "priority_class")

    def __init__(
        self, admission: "Admission", priority_class: str | None, footprint: Footprint | None, failures: int
    ) -> None:
        self._admission = admission
        self._footprint = footprint
        self._is_held = self._is_pending = True
        self._is_placed = False
        self._round = failures
        """How often in a row the group had failed when this was given."""
        self.priority_class = priority_class
        """The class of the first tier that had room; None leaves the template's own."""

    def placed(self) -> None:
        """The pod exists: the quotas count it by themselves. If none could be made before, the back-off is over."""
        if self._is_held and not self._is_placed:
            self._is_placed = True
            self._settle()
            self._admission._placed()

    def started(self) -> None:
        """The pod's worker runs: the group works, whatever failed before."""
        if self._is_held:
            self.placed()
            self._admission._started()

    def failed(self) -> None:
        """The pod could not be made yet, or did not start: the group backs off; the place stays taken."""
        if self._is_held:
            self._admission._failed(self._round, is_placed=self._is_placed)

    def release(self) -> None:
        """Frees the place."""
        if self._is_held:
            self._settle()
            self._is_held = False
            self._admission._freed(self, is_placed=self._is_placed)

    def _settle(self) -> None:
        if self._is_pending:
            self._is_pending = False
            if self._footprint is not None:
                self._admission.headroom.settle(self._footprint)


class _GroupBackoff:
    """The pause of a group after failures, and the one try that ends it."""

    def __init__(self, clock: Clock, rng: random.Random, backoff: Backoff) -> None:
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._until = 0.0
        self._needs_start = False
        """A worker has to run before the pause is over: pods could be made and did not start."""
        self.failures = 0
        self.trial: Reservation | None = None

    @property
    def left_seconds(self) -> float:
        """Until the next try; 0 when there is no pause."""
        return max(0.0, self._until - self._clock.monotonic()) if self.failures else 0.0

    @property
    def is_over(self) -> bool:
        """Whether any number of jobs may be claimed."""
        return not self.failures

    @property
    def allows_trial(self) -> bool:
        """Whether one job may be claimed to see."""
        return self.trial is None and self.left_seconds == 0.0

    def failed(self, round_: int, *, is_placed: bool) -> bool:
        """Begins or prolongs the pause; False for a failure of a job that was claimed before the pause began."""
        if round_ != self.failures:
            return False
        self.failures += 1
        self._needs_start = is_placed
        self._until = self._clock.monotonic() + self._backoff.delay_seconds(self.failures, self._rng)
        self.trial = None
        return True

    def placed(self) -> bool:
        """A pod could be made: whether that ends a pause."""
        return not self._needs_start and self.ended()

    def ended(self) -> bool:
        """The group works: whether that ends a pause."""
        was_over = self.is_over
        self.failures, self.trial, self._needs_start = 0, None, False
        return not was_over

    def released(self, reservation: Reservation, *, is_placed: bool) -> None:
        """A job ended without having failed here, or its claim was refused, which says nothing."""
        if reservation is self.trial:
            self.trial = None
            if is_placed:
                self.ended()


class Admission:
    """The places of one group."""

    def __init__(self, basics: Basics, headroom: Headroom) -> None:
        self.headroom = headroom
        self.changed = Signal()
        """Fires when places were freed or the limits moved; what the quotas do, `headroom.moved` tells."""
        self.ceiling = 0
        self._tiers: tuple[PriorityTier, ...] = ()
        self._reserved = 0
        self._inherited = 0
        self._is_open = False
        self._worker: dict[str, Any] | None = None
        self._footprints: dict[str | None, Footprint | None] = {}
        """By the class of a tier, for the LimitRanges that they were made with."""
        self._limit_ranges: tuple[dict[str, Any], ...] = ()
        self._backoff = _GroupBackoff(basics.clock, basics.rng, basics.tunables.admission_backoff)

    def configure(
        self,
        *,
        ceiling: int,
        tiers: Sequence[PriorityTier],
        is_open: bool,
        worker: dict[str, Any] | None = None,
    ) -> None:
        """Takes new limits; reservations beyond a lowered ceiling stay until their jobs end.

        `worker` is the manifest of a pod as the group's workers are; without one the quotas are not looked at.
        """
        self.ceiling, self._tiers, self._is_open = ceiling, tuple(tiers), is_open
        self._worker = worker
        self._footprints.clear()
        self.changed.notify()

    def inherit(self, workers: int) -> None:
        """How many workers run that no reservation stands for."""
        if workers != self._inherited:
            self._inherited = workers
            self.changed.notify()

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the group may claim at all."""
        return self._is_open

    @property
    def in_use(self) -> int:
        """Places taken."""
        return self._reserved + self._inherited

    @property
    def free(self) -> int:
        """Places left below the ceiling; 0 while the group is closed."""
        return max(0, self.ceiling - self.in_use) if self._is_open else 0

    @property
    def claimable(self) -> int:
        """How many jobs may be claimed now: the free places, as far as quotas and back-off let them be used."""
        if self.free == 0:
            return 0
        footprint = self._footprint()
        room = self.free if footprint is None else min(self.free, self.headroom.room(footprint))
        return room if self._backoff.is_over else min(room, int(self._backoff.allows_trial))

    @property
    def blocked_by(self) -> WaitReason | None:
        """Why no job may be claimed now; None when one may, and while the group is closed."""
        if not self._is_open:
            return None
        if self.free == 0:
            return WaitReason.CEILING
        if self.shortage:
            return WaitReason.QUOTA
        is_free = self._backoff.is_over or self._backoff.allows_trial
        return None if is_free else WaitReason.BACKOFF

    @property
    def shortage(self) -> str:
        """Why the quotas admit no further worker now; empty when they do."""
        footprint = self._footprint()
        return "" if footprint is None else self.headroom.shortage(footprint)

    @property
    def undeclared(self) -> str:
        """What the group's pods have to declare because of a quota, before any job can run; empty when they do."""
        footprint = self._footprint()
        return "" if footprint is None else self.headroom.undeclared(footprint)

    @property
    def failures(self) -> int:
        """How often in a row a worker could not be made or did not start; 0 while the group works."""
        return self._backoff.failures

    @property
    def backoff_left_seconds(self) -> float:
        """Until the next try after a failure; 0 when none is waited for."""
        return self._backoff.left_seconds

    # -- reservations --------------------------------------------------------------------------------------------

    def reserve(self) -> Reservation | None:
        """A place, or None when there is none now."""
        if self.claimable == 0:
            return None
        reservation = self.adopt()
        if not self._backoff.is_over:
            self._backoff.trial = reservation
        return reservation

    def adopt(self) -> Reservation:
        """A place for a job that is ours already, whatever the limits say."""
        priority_class = priority_class_for(self.in_use, self._tiers)
        footprint = self._footprint()
        if footprint is not None:
            self.headroom.reserve(footprint)
        reservation = Reservation(self, priority_class, footprint, self._backoff.failures)
        self._reserved += 1
        self.changed.notify()
        return reservation

    def _footprint(self) -> Footprint | None:
        """Of one more worker; None when it is not known."""
        if self._limit_ranges is not self.headroom.limit_ranges:
            self._limit_ranges = self.headroom.limit_ranges
            self._footprints.clear()
        priority_class = priority_class_for(self.in_use, self._tiers)
        if priority_class not in self._footprints:
            self._footprints[priority_class] = self._measured(priority_class)
        return self._footprints[priority_class]

    def _measured(self, priority_class: str | None) -> Footprint | None:
        if self._worker is None:
            return None
        try:
            return footprint_of(self._worker, self._limit_ranges).in_class(priority_class)
        except ValueError as problem:
            # The API server says so, too, and names the field.
            log.warning("what a worker costs is not known", problem=str(problem))
            return None

    def _placed(self) -> None:
        if self._backoff.placed():
            self.changed.notify()

    def _started(self) -> None:
        if self._backoff.ended():
            self.changed.notify()

    def _failed(self, round_: int, *, is_placed: bool) -> None:
        if self._backoff.failed(round_, is_placed=is_placed):
            log.info("group backs off", seconds=round(self._backoff.left_seconds, 1), failures=self._backoff.failures)
            self.changed.notify()

    def _freed(self, reservation: Reservation, *, is_placed: bool) -> None:
        self._backoff.released(reservation, is_placed=is_placed)
        self._reserved -= 1
        self.changed.notify()


def priority_class_for(workers: int, tiers: Sequence[PriorityTier]) -> str | None:
    """The class for one more worker beside `workers`: that of the first tier with room."""
    for tier in tiers:
        if workers < tier.threshold:
            return tier.priority_class_name
    return None
