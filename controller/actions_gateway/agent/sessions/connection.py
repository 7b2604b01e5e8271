"""One registration's connection to GitHub: its runner token, its broker session, and closing both."""

import structlog

from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.github.broker import RunnerStatus, Session
from actions_gateway.github.errors import DeliveryGone, GitHubError, SessionConflict, Unauthorized
from actions_gateway.github.messages import JobRequest, Message
from actions_gateway.github.restmodels import Registration
from actions_gateway.github.runnertoken import RunnerToken, exchange
from actions_gateway.github.runservice import AcquiredJob
from actions_gateway.github.secrets import Secret

log = structlog.get_logger(__name__)

_CLOSE_ATTEMPTS = 3
_CLOSE_PAUSE_SECONDS = 0.25


class RegistrationSpent(Exception):
    """Nothing more comes through this registration."""


class DeliveryOver(RegistrationSpent):
    """The delivery was for a job that another runner has: nothing is wrong, but the registration had its one claim."""

    def __init__(self, text: str, *, is_duplicate: bool = False) -> None:
        super().__init__(text)
        self.is_duplicate = is_duplicate
        """The job runs here, under another delivery; GitHub removes this one's runner with the job."""


class Connection:
    """Every method but `close` raises GitHubError."""

    def __init__(self, registration: Registration, parts: SessionParts) -> None:
        self.registration = registration
        self._parts = parts
        self._token: RunnerToken | None = None
        self._is_fresh = True
        """No token was ever issued: the token endpoint may not know the registration yet."""
        self._session: Session | None = None
        self._may_be_open = False
        """A session was asked for; it may exist although its answer never came."""

    async def prepare(self) -> None:
        """Fetches what `open` needs besides its own call."""
        await self._current_token()

    async def open(self) -> None:
        """Opens the session, in place of one of our own that lives; raises SessionConflict for somebody else's."""
        token = await self._current_token()
        try:
            self._session = await self._create(token)
        except SessionConflict as problem:
            if self._is_foreign(problem):
                # Somebody else has this registration: it is theirs to use, and ours to replace.
                self._may_be_open = False
                raise
            # Names and registrations are unique: what lives is a session of our own whose answer was lost.
            await self._delete_session(token)
            self._session = await self._create(token)

    def _is_foreign(self, problem: SessionConflict) -> bool:
        """Whether GitHub names another owner of the living session than this agent."""
        text = str(problem)
        return " for owner " in text and self._parts.basics.agent not in text

    async def _create(self, token: Secret) -> Session:
        self._may_be_open = True
        return await self._parts.broker.create_session(self.registration.jit, token, self._parts.basics.agent)

    async def reopen(self) -> None:
        """A new token and a new session in place of ones that GitHub no longer accepts."""
        if self._token is not None:
            await self.close()
        self.forget_token()
        await self.open()

    def forget_token(self) -> None:
        """The next call fetches a new token."""
        self._token = None

    async def _current_token(self) -> Secret:
        token, basics, jit = self._token, self._parts.basics, self.registration.jit
        if token is None or basics.clock.now() >= token.refresh_at:
            token = await exchange(self._parts.http, jit, basics.clock, basics.rng, fresh=self._is_fresh)
            self._token, self._is_fresh = token, False
        return token.token

    async def poll(self, status: RunnerStatus) -> Message | None:
        """One long poll."""
        return await self._parts.broker.poll(self._open_session(), await self._current_token(), status)

    async def acknowledge(self, request: JobRequest) -> None:
        """Says that the delivery arrived, best effort; raises DeliveryGone when it is no longer ours."""
        try:
            await self._parts.broker.acknowledge(self._open_session(), await self._current_token(), request)
        except DeliveryGone:
            raise
        except GitHubError as problem:
            log.info("delivery not acknowledged", request_id=request.request_id, problem=str(problem))

    async def acquire(self, request: JobRequest) -> AcquiredJob:
        """Claims the job, with a new token if GitHub does not accept the current one."""
        try:
            return await self._parts.run_service.acquire(request, await self._current_token())
        except Unauthorized:
            self.forget_token()
        return await self._parts.run_service.acquire(request, await self._current_token())

    def _open_session(self) -> Session:
        if self._session is None:
            raise RuntimeError("the connection is used before it is open")
        return self._session

    async def close(self) -> None:
        """Deletes the session, best effort; never again after a success, since that would hit a later session."""
        if not self._may_be_open or self._token is None:
            return
        for attempt in range(1, _CLOSE_ATTEMPTS + 1):
            try:
                await self._delete_session(self._token.token)
            except GitHubError as problem:
                log.info("session not closed", runner=self.registration.name, attempt=attempt, problem=str(problem))
                if attempt < _CLOSE_ATTEMPTS:
                    await self._parts.basics.clock.sleep(_CLOSE_PAUSE_SECONDS)
            else:
                break

    async def _delete_session(self, token: Secret) -> None:
        session = self._session or Session("", self.registration.jit.broker_url)
        await self._parts.broker.delete_session(session, token)
        self._may_be_open, self._session = False, None
