"""The broker: a runner's session and its long poll.

Sources: actions/runner `src/Sdk/WebApi/WebApi/BrokerHttpClient.cs` (paths, query) and
`src/Runner.Listener/BrokerMessageListener.cs` (use). Messages are plain text on this interface; the encrypted ones of
the legacy service are not understood. One poll at a time per session is the caller's duty.
"""

from dataclasses import dataclass
from enum import StrEnum

from actions_gateway.github.answers import Answer
from actions_gateway.github.classification import broker_error, session_error
from actions_gateway.github.errors import AnswerTimeout, MalformedAnswer
from actions_gateway.github.http import CONNECT_SECONDS, Api, Deadline, Endpoint, GitHubHttp
from actions_gateway.github.jit import JitConfig
from actions_gateway.github.messages import JobRequest, Message, Unanswered, parse_message
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import join, secure_url

POLL_HOLD_SECONDS = 50.0
"""How long the broker holds a poll that has nothing to tell."""
_READ_SLACK_SECONDS = 5.0
_ACKNOWLEDGE_SECONDS = 5.0
_NO_SESSION_ID = "00000000-0000-0000-0000-000000000000"


class RunnerStatus(StrEnum):
    """What a poll says about the runner."""

    ONLINE = "Online"
    BUSY = "Busy"


@dataclass(frozen=True, slots=True)
class RunnerPlatform:
    """How our runners introduce themselves; GitHub refuses versions that are too old."""

    version: str
    os: str = "Linux"
    architecture: str = "X64"

    @property
    def user_agent(self) -> str:
        """As the runner's own."""
        return f"GitHubActionsRunner-{self.os.lower()}-{self.architecture.lower()}/{self.version}"


@dataclass(frozen=True, slots=True)
class Session:
    """An open session of one runner."""

    id: str
    broker_url: str


class Broker:
    """Calls of the broker; every method raises GitHubError."""

    def __init__(self, http: GitHubHttp, platform: RunnerPlatform, *, hold_seconds: float = POLL_HOLD_SECONDS) -> None:
        self._http = http
        self.platform = platform
        read_seconds = hold_seconds + _READ_SLACK_SECONDS
        self._poll_deadline = Deadline(CONNECT_SECONDS + read_seconds + _READ_SLACK_SECONDS, read_seconds)

    async def create_session(self, jit: JitConfig, token: Secret, owner_name: str) -> Session:
        """Opens the runner's session; `owner_name` is what a conflict shows to people.

        Raises SessionConflict, VersionTooOld, RunnerGone, Unauthorized, Forbidden.
        """
        agent = {"id": jit.agent_id, "name": jit.agent_name, "version": self.platform.version}
        body = {
            "sessionId": _NO_SESSION_ID,
            "ownerName": owner_name,
            "agent": agent | {"osDescription": self.platform.os},
            "useFipsEncryption": False,
        }
        answer = await self._send(Endpoint.CREATE_SESSION, "POST", join(jit.broker_url, "session"), token, body=body)
        if not answer.is_success:
            raise session_error(answer)
        return _session(answer, jit.broker_url)

    async def poll(self, session: Session, token: Secret, status: RunnerStatus = RunnerStatus.ONLINE) -> Message | None:
        """Waits for one message, None when there was none within the hold.

        Raises SessionExpired, RunnerGone, VersionTooOld, Unauthorized, Forbidden, RateLimited; EmptyAnswer, of which
        several in a row mean a dead session.
        """
        query = self._query(session, status) | {"disableUpdate": "true"}
        url = join(session.broker_url, "message")
        try:
            answer = await self._send(Endpoint.POLL, "GET", url, token, query=query, deadline=self._poll_deadline)
        except AnswerTimeout:
            return Unanswered()
        if not answer.is_success:
            raise broker_error(answer, "answer the poll")
        return None if answer.status != 200 else parse_message(answer)

    async def acknowledge(
        self, session: Session, token: Secret, request: JobRequest, status: RunnerStatus = RunnerStatus.ONLINE
    ) -> None:
        """Says that the delivery arrived; only for one that asks for it, and only right before acquiring it.

        Best effort within 5 s. Raises DeliveryGone, upon which the delivery is to be dropped.
        """
        url = join(session.broker_url, "acknowledge")
        answer = await self._send(
            Endpoint.ACKNOWLEDGE,
            "POST",
            url,
            token,
            query=self._query(session, status),
            body={"runnerRequestId": request.request_id},
            deadline=Deadline.within(_ACKNOWLEDGE_SECONDS),
        )
        if not answer.is_success:
            raise broker_error(answer, "take the acknowledgement")

    async def delete_session(self, session: Session, token: Secret) -> bool:
        """Closes the session; False when the broker knows none (any more).

        The broker finds the session by the runner's token, so after a success this is never repeated: it would close
        the runner's next session.
        """
        answer = await self._send(Endpoint.DELETE_SESSION, "DELETE", join(session.broker_url, "session"), token)
        if answer.is_success:
            return True
        if answer.status in (401, 404, 410):
            return False
        raise broker_error(answer, "delete the session")

    def _query(self, session: Session, status: RunnerStatus) -> dict[str, str]:
        return {
            "sessionId": session.id,
            "status": status.value,
            "runnerVersion": self.platform.version,
            "os": self.platform.os,
            "architecture": self.platform.architecture,
        }

    async def _send(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        token: Secret,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": self.platform.user_agent}
        return await self._http.send(
            Api.BROKER,
            method,
            url,
            endpoint=endpoint,
            token=token,
            headers=headers,
            query=query,
            body=body,
            deadline=deadline,
        )


def _session(answer: Answer, broker_url: str) -> Session:
    fields = answer.fields()
    session_id = fields.text("sessionId")
    if not session_id:
        raise MalformedAnswer("the new session has no id")
    moved_to = fields.text("brokerURL")
    try:
        return Session(session_id, secure_url(moved_to, "the broker's URL") if moved_to else broker_url)
    except ValueError as problem:
        reason = str(problem)
    raise MalformedAnswer(f"the new session's answer is unusable: {reason}")
