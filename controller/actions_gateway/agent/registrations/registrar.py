"""Making and removing single-use runner registrations, and knowing which of them exist.

Every name is unique, so no registration waits for the deletion of another one. Nothing is stored: what a killed agent
leaves behind is offline and harmless; it is found by its name (`strays`), or looked for when its group is closed.

A registration is known from before its request until its removal or its job's end, so that "none is left" is never said
too early. One that could not be removed, or whose answer was lost, is owed: `run` removes it when GitHub allows.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.signals import Signal
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.api.names import runner_name, uid_part
from actions_gateway.github.budgets import WRITE_POINTS, Budgets, Charge, Priority
from actions_gateway.github.errors import (
    AnswerTimeout,
    ConnectionBroken,
    Forbidden,
    GitHubError,
    MalformedAnswer,
    NotFound,
    RegistrationUnusable,
    RunnerBusy,
    ServerError,
    Unauthorized,
)
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Registration, Runner
from actions_gateway.github.secrets import Secret

log = structlog.get_logger(__name__)

_MAY_EXIST = (AnswerTimeout, ConnectionBroken, MalformedAnswer, ServerError)
"""Answers to a registration after which the record may exist all the same."""


@dataclass(slots=True)
class _Holder:
    """Whose registration it is."""

    group: str
    group_uid: str
    is_certain: bool = False
    """GitHub confirmed it; otherwise it is under way, or its answer was lost."""


class Registrar:
    """Registers runners for the groups of one agent, as many at once as GitHub's budgets allow."""

    def __init__(self, rest: GitHubRest, tokens: InstallationTokens, basics: Basics, budgets: Budgets) -> None:
        self._rest = rest
        self._tokens = tokens
        self._budgets = budgets
        self._clock = basics.clock
        self._rng = basics.rng
        self._tunables = basics.tunables
        self._known: dict[str, _Holder] = {}
        """By the runner's name."""
        self._owed: dict[str, int | None] = {}
        """The runners to be removed, by name, with the record's id as far as it is known."""
        self._unanswered: dict[str, float] = {}
        """Until when GitHub may still make a registration whose answer was not awaited or got lost, by name."""
        self._to_sweep: dict[str, str] = {}
        """Closed groups, uid to name, whose runners at GitHub were not looked through yet."""
        self._groups: dict[str, tuple[str, str]] = {}
        """Name and uid of each group that registered or inherited something, by the part that names carry."""
        self._changed = Signal()
        self._listeners: list[Callable[[str], None]] = []

    @property
    def is_waiting(self) -> bool:
        """Whether registrations wait for GitHub's budgets now."""
        return self._budgets.is_waiting

    def listen(self, listener: Callable[[str], None]) -> None:
        """`listener` hears the group's name when its registrations became more or fewer."""
        self._listeners.append(listener)

    def count(self, group_uid: str, *, with_uncertain: bool) -> int | None:
        """How many registrations of the group have not ended; None for a closed one that was not looked through yet."""
        if group_uid in self._to_sweep:
            return None
        own = (holder for holder in self._known.values() if holder.group_uid == group_uid)
        return sum(holder.is_certain or with_uncertain for holder in own)

    def sweep(self, group: str, group_uid: str) -> None:
        """The group is closed: none of its idle runners is to be left, whoever registered it."""
        self._to_sweep[group_uid] = group
        self._changed.notify()

    def reopen(self, group_uid: str) -> None:
        """The group may have idle runners again."""
        self._to_sweep.pop(group_uid, None)

    # -- one registration ------------------------------------------------------------------------------------------

    async def turn(self, group_uid: str) -> Charge:
        """Waits until GitHub's budgets have room for one more registration; nothing is begun before."""
        return await self._budgets.turn(WRITE_POINTS, Priority.ROUTINE, group=group_uid)

    async def register(
        self, group: str, group_uid: str, labels: Sequence[str], token: Secret, charge: Charge | None = None
    ) -> Registration:
        """A new runner, when its turn has come unless it had it; raises GitHubError."""
        charge = charge or await self.turn(group_uid)
        name = runner_name(group, group_uid, f"{self._rng.getrandbits(32):08x}")
        self._know(name, _Holder(group, group_uid))
        try:
            registration = await self._rest.generate_jit_config(token, name, labels, charge)
        except Unauthorized:
            self._tokens.reject(token)
            self.ended(name)
            raise
        except (Forbidden, NotFound) as problem:
            self._tokens.registration_refused(problem)
            self.ended(name)
            raise
        except RegistrationUnusable as problem:
            await self._remove(name, problem.runner_id)
            raise
        except (*_MAY_EXIST, asyncio.CancelledError):
            self._unanswered[name] = self._clock.monotonic() + self._tunables.late_registration_seconds
            self._owe(name, None)
            raise
        except GitHubError:
            self.ended(name)
            raise
        self._tokens.registration_accepted()
        self._confirm(name)
        return registration

    def inherit(self, name: str, group: str, group_uid: str) -> None:
        """A runner that an earlier agent registered has a job that goes on."""
        holder = _Holder(group, group_uid, is_certain=True)
        self._know(name, holder)
        self._tell(holder)

    def _know(self, name: str, holder: _Holder) -> None:
        self._known[name] = holder
        self._groups[uid_part(holder.group_uid)] = holder.group, holder.group_uid

    def is_stray(self, runner: Runner) -> bool:
        """Whether it is named for a group of ours, and neither this agent's nor anybody's that lives."""
        return (
            self._group_of(runner.name) is not None
            and runner.name not in self._known
            and not (runner.is_online or runner.is_busy)
        )

    def remove_stray(self, runner: Runner) -> None:
        """Owes the removal of a stray."""
        if self.is_stray(runner) and (found := self._group_of(runner.name)) is not None:
            self._know(runner.name, _Holder(*found, is_certain=True))
            self._owe(runner.name, runner.id)

    def _group_of(self, name: str) -> tuple[str, str] | None:
        found = self._groups.get(name.rsplit("-", 2)[-2]) if name.count("-") >= 2 else None
        return found if found is not None and name.startswith(runner_name(*found, "")) else None

    async def remove(self, registration: Registration) -> None:
        """Removes an unused runner, now or, when GitHub does not let it, later."""
        await self._remove(registration.name, registration.runner_id)

    def remove_later(self, registration: Registration) -> None:
        """Owes the removal of an unused runner for which its session has no time any more."""
        if registration.name in self._known:
            self._owe(registration.name, registration.runner_id)

    async def _remove(self, name: str, runner_id: int | None) -> None:
        # Owed first: a removal that is cut short is made up for, too.
        self._owe(name, runner_id)
        if runner_id is not None and (token := self._tokens.peek()) is not None:
            await self._delete(name, runner_id, token)

    def ended(self, name: str) -> None:
        """The runner has had its job, for which GitHub removes it, or there never was one."""
        self._owed.pop(name, None)
        self._unanswered.pop(name, None)
        if (holder := self._known.pop(name, None)) is not None:
            self._tell(holder)

    def _confirm(self, name: str) -> None:
        if (holder := self._known.get(name)) is not None:
            holder.is_certain = True
            self._tell(holder)

    def _owe(self, name: str, runner_id: int | None) -> None:
        self._owed[name] = runner_id
        self._changed.notify()

    def _tell(self, holder: _Holder) -> None:
        for listener in self._listeners:
            listener(holder.group)

    async def _delete(self, name: str, runner_id: int, token: Secret) -> GitHubError | None:
        """What kept the runner from being removed."""
        try:
            await self._rest.delete_runner(token, runner_id)
        except RunnerBusy as problem:
            log.info("runner not removed: its job has not concluded", runner=name)
            return problem
        except GitHubError as problem:
            log.info("runner not removed", runner=name, problem=str(problem))
            if isinstance(problem, Unauthorized):
                self._tokens.reject(token)
            return problem
        self.ended(name)
        return None

    # -- what is owed ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Removes what is owed, with back-off, until cancelled."""
        failures, asked = 0, None
        while True:
            changed = self._changed.next
            if not self._owed and not self._to_sweep:
                failures, asked = 0, None
                await changed.wait()
            backoff = self._tunables.removal_backoff
            await self._clock.sleep(backoff.delay_seconds(failures + 1, self._rng, asked_seconds=asked))
            problem = await self._pay()
            failures = failures + 1 if problem is not None else 0
            asked = problem.retry_after_seconds if problem is not None else None

    async def settle(self) -> None:
        """Removes what is owed before the agent ends; gives up without a credential that mints a token."""
        while (self._owed or self._to_sweep) and (self._tokens.peek() or self._tokens.verdict.is_available):
            if await self._pay() is not None or self._owed:
                await self._clock.sleep(self._tunables.removal_backoff.base_seconds)

    async def _pay(self) -> GitHubError | None:
        """One try at everything that is owed; the last thing that went wrong, if any did."""
        token = await self._tokens.get()
        try:
            await self._look(token)
        except GitHubError as problem:
            log.info("runners not listed", problem=str(problem))
            return problem
        busy: GitHubError | None = None
        for name, runner_id in list(self._owed.items()):
            if runner_id is None:
                continue
            refusal = await self._delete(name, runner_id, token)
            if refusal is not None and not isinstance(refusal, RunnerBusy):
                return refusal
            busy = refusal or busy
        return busy

    async def _look(self, token: Secret) -> None:
        """Finds the records that this agent has not heard of, as far as they are of interest."""
        unidentified = [name for name, runner_id in self._owed.items() if runner_id is None]
        sweeps = dict(self._to_sweep)
        if not unidentified and not sweeps:
            return
        wanted = unidentified[0] if len(unidentified) == 1 and not sweeps else ""
        runners = await self._rest.list_runners(token, name=wanted)
        self._identify(unidentified, {runner.name: runner.id for runner in runners})
        for group_uid, group in sweeps.items():
            if self._to_sweep.pop(group_uid, None) is not None:
                self._adopt(_Holder(group, group_uid, is_certain=True), runners)

    def _identify(self, names: Sequence[str], found: Mapping[str, int]) -> None:
        """Registrations that were not answered; what GitHub does not list after a while was never made."""
        now = self._clock.monotonic()
        for name in names:
            if name in found:
                self._owed[name] = found[name]
                self._confirm(name)
            elif now >= self._unanswered.get(name, now):
                self.ended(name)

    def _adopt(self, holder: _Holder, runners: Sequence[Runner]) -> None:
        """Takes over what another agent registered for a closed group; busy runners go with their jobs."""
        prefix = runner_name(holder.group, holder.group_uid, "")
        for runner in runners:
            if runner.name.startswith(prefix) and not runner.is_busy and runner.name not in self._known:
                self._known[runner.name], self._owed[runner.name] = holder, runner.id
        self._tell(holder)
