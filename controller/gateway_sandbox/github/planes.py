"""The runner's planes as routes: OAuth, broker, run service, and a results service.

Sources: actions/runner `src/Sdk/WebApi/WebApi/OAuth/*`, `src/Sdk/WebApi/WebApi/BrokerHttpClient.cs`,
`src/Sdk/RSWebApi/RunServiceHttpClient.cs`. The results service is the sandbox's own simplification: GitHub's takes step
updates and log uploads over Twirp and signed blob URLs, this one takes JSON and text from the sandbox's worker.
"""

import json
from functools import partial

from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.jobs import envelope
from gateway_sandbox.github.models import Silence
from gateway_sandbox.github.payload import job_payload
from gateway_sandbox.github.runs import needs_context
from gateway_sandbox.github.state import Refused
from gateway_sandbox.github.wire import Call, Reply, Route


def routes(github: GitHub) -> list[Route]:
    planes = Planes(github)
    return [
        Route("broker.poll", "GET", "/broker/message", planes.poll),
        Route("broker.acknowledge", "POST", "/broker/acknowledge", planes.acknowledge),
        Route("broker.create_session", "POST", "/broker/session", planes.create_session),
        Route("broker.delete_session", "DELETE", "/broker/session", planes.delete_session),
        Route("run.acquire", "POST", "/run/{shard}/acquirejob", planes.acquire),
        Route("run.renew", "POST", "/run/{shard}/renewjob", planes.renew),
        Route("run.complete", "POST", "/run/{shard}/completejob", planes.complete),
        Route("oauth.token", "POST", "/oauth/{tenant}/token", planes.token),
        Route("results.steps", "POST", "/results/jobs/{plan}/steps", planes.steps),
        Route("results.log", "POST", "/results/jobs/{plan}/log", planes.log),
    ]


class Planes:
    """One handler per endpoint."""

    def __init__(self, github: GitHub) -> None:
        self._state = github.state
        self._apps = github.apps
        self._agents = github.agents
        self._work = github.work

    def token(self, call: Call) -> Reply:
        return Reply(200, self._agents.exchange(call.form))

    # ------------------------------------------------------------------ broker

    def create_session(self, call: Call) -> Reply:
        session = self._agents.create_session(call.bearer, call.json)
        agent = {"id": session.runner.id, "name": session.runner.name}
        body = {"sessionId": session.id, "ownerName": session.owner_name, "agent": agent, "useFipsEncryption": False}
        return Reply(200, body)

    def delete_session(self, call: Call) -> Reply:
        self._agents.delete_session(call.bearer)
        return Reply(204)

    async def poll(self, call: Call) -> Reply:
        session, outcome = await self._agents.poll(call.bearer, call.query)
        if isinstance(outcome, Silence):
            return Reply(202 if outcome is Silence.NOTHING else 200)
        body = {
            "messageId": outcome.message_id,
            "messageType": outcome.message_type,
            "iv": None,
            "body": json.dumps(outcome.body),
        }
        assert session is not None, "only a session gets messages"
        return Reply(200, body, on_written=partial(self._agents.dispatch.written, session, outcome))

    def acknowledge(self, call: Call) -> Reply:
        self._agents.acknowledge(call.bearer, call.query, call.json)
        return Reply(204)

    # ------------------------------------------------------------- run service

    def acquire(self, call: Call) -> Reply:
        if self._work.known(call.bearer) is not None:
            raise Refused(401, envelope(401, "Not authorized"))
        delivery = self._work.acquire(self._agents.authenticate(call.bearer), call.json.get("jobMessageId"))
        job = delivery.job
        github_token = self._apps.token_for_job(job.run.repository)
        needs = needs_context(job.run, job)
        payload = job_payload(self._state, delivery, needs=needs, github_token=github_token)
        return Reply(200, payload, {"x-plan-id": job.plan_id})

    def renew(self, call: Call) -> Reply:
        delivery = self._work.renew(call.bearer, call.json)
        locked_until = self._state.later(delivery.lock_due - self._state.clock.monotonic())
        return Reply(200, {"lockedUntil": locked_until.isoformat().replace("+00:00", "Z")})

    def complete(self, call: Call) -> Reply:
        self._work.complete(call.bearer, call.json)
        return Reply(204)

    # ----------------------------------------------------------------- results

    def steps(self, call: Call) -> Reply:
        steps = call.json.get("steps")
        if not isinstance(steps, list) or not all(isinstance(step, dict) and "number" in step for step in steps):
            raise Refused(400, envelope(400, "steps is a list of objects with a number."))
        self._work.report_steps(call.bearer, call.params["plan"], steps)
        return Reply(204)

    def log(self, call: Call) -> Reply:
        self._work.append_log(call.bearer, call.params["plan"], call.body.decode(errors="replace"))
        return Reply(204)
