"""Runner registrations and their sessions: single use, one session each, gone soon after the job.

Sources: GitHub REST docs "Self-hosted runners"; actions/runner `src/Runner.Listener/BrokerMessageListener.cs`,
`src/Sdk/WebApi/WebApi/BrokerHttpClient.cs`; the fate of a spent registration is what clients measured on github.com.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jwt

from gateway_sandbox.github.apps import not_found
from gateway_sandbox.github.credentials import KeyPool, check_assertion, client_id_of, invalid_client, jit_config
from gateway_sandbox.github.dispatch import Dispatch
from gateway_sandbox.github.models import DeliveryState, Message, Runner, RunnerState, Session, Silence
from gateway_sandbox.github.state import Refused, State

MAX_LABELS = 100


class RunnerToken(NamedTuple):
    runner: Runner
    expires_due: float


class Runners:
    """Registration, OAuth, sessions and polls of runners."""

    def __init__(self, state: State, keys: KeyPool) -> None:
        self._state = state
        self._keys = keys
        self.dispatch = Dispatch(state, consume=self.consume)
        self._tokens: dict[str, RunnerToken] = {}
        self._clients: dict[str, Runner] = {}
        self._token_key = state.new_secret("runner-tokens-")

    # ---------------------------------------------------------- registrations

    async def register(self, scope: str, wish: Mapping[str, Any]) -> tuple[Runner, str]:
        """A new single-use runner and its `encoded_jit_config`; Refused 403, 404, 409 or 422."""
        name, labels, group_id = self._checked(wish)
        key = await self._keys.take(fresh=self._state.settings.fresh_keys)
        if any(runner.name == name and runner.scope == scope for runner in self._state.runners.values()):
            raise Refused(409, {"message": f"Already exists - A runner with the name {name} already exists."})
        ready_due = self._state.clock.monotonic() + self._state.settings.propagation_delay_seconds
        runner_id = self._state.next_id("runner", 28620)
        runner = Runner(runner_id, name, scope, labels, group_id, self._state.new_uuid(), key.public_key, ready_due)
        self._state.runners[runner.id] = self._clients[runner.client_id] = runner
        return runner, jit_config(self._state, runner, key, work_folder=str(wish.get("work_folder") or "_work"))

    def _checked(self, wish: Mapping[str, Any]) -> tuple[str, tuple[str, ...], int]:
        name, labels, group_id = wish.get("name"), wish.get("labels"), wish.get("runner_group_id")
        if not isinstance(name, str) or not name or len(name) > 64:
            raise _invalid("name")
        if not isinstance(labels, Sequence) or isinstance(labels, str) or not 1 <= len(labels) <= MAX_LABELS:
            raise _invalid("labels")
        if not all(isinstance(label, str) and label for label in labels):
            raise _invalid("labels")
        if not isinstance(group_id, int):
            raise _invalid("runner_group_id")
        if group_id in self._state.settings.unusable_runner_group_ids:
            raise Refused(403, {"message": "Runners cannot be added to this runner group.", "status": "403"})
        if group_id not in self._state.settings.runner_group_ids:
            raise not_found()
        return name, tuple(labels), group_id

    def listed(self, scope: str, name_part: str | None) -> list[Runner]:
        """The scope's runners whose name contains `name_part`."""
        return [
            runner
            for runner in self._state.runners.values()
            if runner.scope == scope and (name_part is None or name_part in runner.name)
        ]

    def get(self, scope: str, runner_id: int) -> Runner:
        runner = self._state.runners.get(runner_id)
        if runner is None or runner.scope != scope:
            raise not_found()
        return runner

    def delete(self, runner: Runner) -> None:
        """Removes an idle registration; Refused 422 while it runs a job and shortly after."""
        if runner.state in (RunnerState.BUSY, RunnerState.CONSUMED):
            message = f'Runner "{runner.name}" is currently running a job and cannot be deleted.'
            raise Refused(422, {"message": message, "status": "422"})
        self.remove(runner)

    def is_online(self, runner: Runner) -> bool:
        if runner.session is None:
            return False
        if runner.session.poll is not None:
            return True
        window = self._state.settings.online_window_seconds
        return runner.polled_seen is not None and self._state.clock.monotonic() - runner.polled_seen <= window

    def consume(self, runner: Runner) -> None:
        """Marks a registration as spent; its record goes after a while."""
        runner.state = RunnerState.CONSUMED
        self._state.timers.after(self._state.settings.record_delete_delay_seconds, partial(self.remove, runner))

    def remove(self, runner: Runner) -> None:
        """Deletes the record whatever its state, and ends its session."""
        runner.state = RunnerState.DELETED
        self._state.runners.pop(runner.id, None)
        if runner.session is not None:
            self.end_session(runner.session)

    # ------------------------------------------------------------------ tokens

    def exchange(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The OAuth reply for a client assertion; Refused 400 for a bad assertion or a client that is gone."""
        if form.get("grant_type") != "client_credentials" or "client_assertion" not in form:
            raise Refused(400, {"error": "invalid_request", "error_description": "A client assertion is required."})
        client_id = client_id_of(form["client_assertion"])
        runner = self._clients.get(client_id)
        now = self._state.clock.monotonic()
        gone = runner is None or runner.state in (RunnerState.CONSUMED, RunnerState.DELETED)
        if runner is None or gone or now < runner.registered_due:
            message = f"Registration {client_id} was not found."
            if runner is not None and gone and self._state.settings.deleted_client_error == "invalid_client":
                raise invalid_client(message)
            raise Refused(400, {"error": "not_found", "error_description": message})
        check_assertion(self._state, runner, form["client_assertion"])
        seconds = self._state.settings.runner_token_seconds
        token = self._new_token(runner, seconds)
        reply: dict[str, Any] = {"access_token": token, "token_type": "JWT", "expires_in": seconds}
        if self._state.settings.omit_expires_in:
            del reply["expires_in"]
        return reply

    def _new_token(self, runner: Runner, seconds: int) -> str:
        claims = {
            "runner_id": str(runner.id),
            "runner_group_id": str(runner.group_id),
            "is_ephemeral": "True",
            "labels": ",".join(runner.labels),
            "jti": self._state.new_uuid(),
            "exp": int(self._state.clock.now().timestamp()) + seconds,
        }
        token = jwt.encode(claims, self._token_key, algorithm="HS256")
        self._tokens[token] = RunnerToken(runner, self._state.clock.monotonic() + seconds)
        return token

    def known(self, bearer: str | None) -> Runner | None:
        """The runner a token was made for, valid or not."""
        token = self._tokens.get(bearer or "")
        return token.runner if token is not None else None

    def authenticate(self, bearer: str | None) -> Runner:
        """The runner behind a valid token, spent or deleted ones included; Refused 401."""
        token = self._tokens.get(bearer or "")
        if token is None or token.expires_due <= self._state.clock.monotonic():
            raise Refused(401, envelope(401, "The runner's token is not valid."))
        return token.runner

    # ---------------------------------------------------------------- sessions

    def create_session(self, bearer: str | None, wish: Mapping[str, Any]) -> Session:
        """Refused 400 (version), 401 (spent), 403 (not this runner) or 409 (a session is active)."""
        runner = self.authenticate(bearer)
        if runner.state in (RunnerState.CONSUMED, RunnerState.DELETED):
            raise Refused(401, envelope(401, "The runner registration is no longer valid."))
        agent = wish.get("agent") or {}
        if str(agent.get("id")) != str(runner.id):
            raise Refused(403, envelope(403, "The agent does not match the token."))
        self._check_version(str(agent.get("version") or ""))
        if runner.session is not None:
            owner = runner.session.owner_name
            message = f"The actions runner {runner.name} already has an active session for owner {owner}."
            raise Refused(409, envelope(409, message))
        now = self._state.clock.monotonic()
        session = Session(self._state.new_uuid(), runner, str(wish.get("ownerName") or ""), now)
        runner.session = self._state.sessions[session.id] = session
        self._watch(session)
        if runner.delivery is not None and runner.delivery.job.is_cancelling:
            self.dispatch.send_cancellation(runner.delivery)
        return session

    def _check_version(self, version: str) -> None:
        """An empty version passes, as it did on github.com."""
        floor = self._state.settings.minimum_runner_version
        if not version or _version(version) >= _version(floor):
            return
        message = (
            f"Runner version v{version} is deprecated and cannot receive messages. The minimum version is {floor}."
        )
        if self._state.settings.version_refusal == "text":
            raise Refused(400, message)
        raise Refused(400, envelope(400, message, "RunnerVersionTooOld"))

    def _watch(self, session: Session) -> None:
        """Ends a session that does not poll for longer than its time to live."""
        if not session.is_active:
            return
        now, ttl = self._state.clock.monotonic(), self._state.settings.session_ttl_seconds
        last_seen = now if session.poll is not None else session.last_seen
        # One sum for both: rounded in two ways, a moment could be neither due nor ahead.
        if now >= (due := last_seen + ttl):
            self.end_session(session)
        else:
            self._state.timers.after(due - now, partial(self._watch, session))

    def delete_session(self, bearer: str | None) -> None:
        """The server finds the session by the token's runner."""
        session = self.authenticate(bearer).session
        if session is None:
            raise Refused(404, envelope(404, "The session was not found."))
        self.end_session(session)

    def end_session(self, session: Session) -> None:
        """Ends the session, its open poll and an offer that was not acquired."""
        runner = session.runner
        session.is_active, runner.session = False, None
        self._state.sessions.pop(session.id, None)
        delivery = runner.delivery
        self.dispatch.fail_poll(session, self._dead(runner))
        if delivery is not None and delivery.state is DeliveryState.OFFERED:
            self.dispatch.release(delivery)

    def _dead(self, runner: Runner) -> Refused:
        settings = self._state.settings
        if runner.state is RunnerState.DELETED:
            if settings.deleted_runner_reply == "401":
                return Refused(401, envelope(401, "The runner registration is no longer valid."))
            return Refused(404, envelope(404, "The runner was not found.", "RunnerNotFound"))
        if settings.dead_session_reply == "envelope":
            return Refused(400, envelope(400, "The session is not valid.", "RunnerSessionInvalid"))
        return Refused(int(settings.dead_session_reply))

    async def poll(self, bearer: str | None, query: Mapping[str, str]) -> tuple[Session | None, Message | Silence]:
        """One `GET message`; the session comes back so that the caller can confirm that the reply was written."""
        runner = self.authenticate(bearer)
        if runner.state is RunnerState.DELETED:
            raise self._dead(runner)
        if runner.state is RunnerState.CONSUMED:
            runner.stale_polls += 1
            if runner.stale_polls > self._state.settings.stale_empty_polls:
                raise Refused(401, envelope(401, "The runner registration is no longer valid."))
            return None, Silence.STALE
        session = self._named_session(runner, query)
        if query["runnerVersion"] and _version(query["runnerVersion"]) < _version(
            self._state.settings.minimum_runner_version
        ):
            message = f"Runner version v{query['runnerVersion']} is deprecated and cannot receive messages."
            raise Refused(403, envelope(403, message, "RunnerVersionTooOld"))
        return session, await self.dispatch.poll(session, is_online=query["status"].lower() == "online")

    def _named_session(self, runner: Runner, query: Mapping[str, str]) -> Session:
        missing = [name for name in ("sessionId", "status", "runnerVersion", "os", "architecture") if name not in query]
        if missing:
            raise Refused(400, envelope(400, f"Missing query parameters: {', '.join(missing)}"))
        session = runner.session
        if session is None or session.id.lower() != query["sessionId"].lower():
            raise self._dead(runner)
        return session

    def acknowledge(self, bearer: str | None, query: Mapping[str, str], wish: Mapping[str, Any]) -> None:
        """Stops the repeats of one offer; Refused 404 when it is gone."""
        runner = self.authenticate(bearer)
        if runner.state is RunnerState.DELETED:
            raise self._dead(runner)
        self._named_session(runner, query)
        delivery = runner.delivery
        if delivery is None or delivery.request_id != wish.get("runnerRequestId"):
            raise Refused(404, envelope(404, "The job was not found.", "AcknowledgeJobNotFound"))
        delivery.is_acknowledged = True

    def end_polls(self) -> None:
        """Answers every open poll with 503, as a broker that shuts down does."""
        for session in list(self._state.sessions.values()):
            self.dispatch.fail_poll(session, Refused(503))

    def clear(self) -> None:
        self.end_polls()
        self.dispatch.clear()
        self._tokens.clear()
        self._clients.clear()
        self._keys.reset()


def envelope(status: int, message: str, kind: str | None = None) -> dict[str, Any]:
    """The broker's error document."""
    body: dict[str, Any] = {"source": "actions-broker-listener", "statusCode": status, "errorMessage": message}
    return body if kind is None else body | {"errorKind": kind}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def _invalid(field: str) -> Refused:
    error = {"resource": "Runner", "field": field, "code": "missing_field"}
    return Refused(
        422, {"message": f'Invalid request. "{field}" is missing or invalid.', "errors": [error], "status": "422"}
    )
