"""One call in, one reply out: routing, budgets, faults and the journal around the handlers; no transport yet."""

from email.utils import format_datetime

from gateway_sandbox.github import control, planes, rest
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.journal import Request, readable_body, without_secrets
from gateway_sandbox.github.state import Refused
from gateway_sandbox.github.wire import Call, Reply, Route, Router


class Service:
    """The HTTP face of a `GitHub`; a simulation calls `handle` where a client would open a socket."""

    def __init__(self, github: GitHub, *, control_token: str | None = None) -> None:
        self._github = github
        self._router = Router([*planes.routes(github), *rest.routes(github), *control.routes(github, control_token)])

    async def handle(self, call: Call) -> Reply:
        """Never raises but for cancellation, which means that the client has left."""
        found = self._router.match(call.method, call.path)
        if found is None:
            return self._unserved(call)
        route, call.params = found
        call.endpoint = route.name
        if route.plane == "sandbox":
            return self._finished(await self._answer(route, call))
        runner, status = self._runner_name(call), 0
        try:
            reply = await self._github.faults.apply(call, runner, lambda call: self._metered(route, call))
            if self._github.state.settings.clock_offset_seconds:
                reply.headers["Date"] = format_datetime(self._github.state.told_time(), usegmt=True)
            status = 0 if reply.is_dropped else reply.status
        finally:
            self._record(call, runner, status)
            self._github.state.changed()
        return reply

    async def _metered(self, route: Route, call: Call) -> Reply:
        if route.plane != "rest" or route.name == "rest.rate_limit":
            return await self._answer(route, call)
        apps = self._github.apps
        try:
            apps.charge(call.bearer, call.method)
        except Refused as refused:
            return Reply(refused.status, refused.body, refused.headers | apps.rate_headers(call.bearer))
        reply = await self._answer(route, call)
        if reply.status == 304:
            apps.refund(call.bearer)
        reply.headers |= apps.rate_headers(call.bearer)
        return reply

    async def _answer(self, route: Route, call: Call) -> Reply:
        try:
            result = route.handler(call)
            return result if isinstance(result, Reply) else await result
        except Refused as refused:
            return Reply(refused.status, refused.body, refused.headers)

    def _unserved(self, call: Call) -> Reply:
        self._github.state.violate("unserved path", f"{call.method} {call.path}")
        call.endpoint = "unserved"
        self._record(call, None, 404)
        return self._finished(Reply(404, {"message": "Not Found", "status": "404"}, {"X-Fake-Unserved": "1"}))

    def _finished(self, reply: Reply) -> Reply:
        self._github.state.changed()
        return reply

    def _record(self, call: Call, runner: str | None, status: int) -> None:
        headers, body = without_secrets(call.headers), readable_body(call.endpoint, call.body)
        now = self._github.state.clock.now()
        entry = Request(now, call.method, call.path, call.endpoint, runner, status, headers, call.query, body)
        self._github.journal.record(entry)

    def _runner_name(self, call: Call) -> str | None:
        """The runner that a call comes from or is about."""
        runner = self._github.agents.known(call.bearer)
        if runner is None and (delivery := self._github.work.known(call.bearer)) is not None:
            runner = delivery.runner
        if runner is None and call.endpoint in ("rest.get_runner", "rest.delete_runner"):
            runner_id = call.params["id"]
            runner = self._github.state.runners.get(int(runner_id)) if runner_id.isdigit() else None
        if runner is None and call.endpoint == "rest.generate_jitconfig":
            try:
                return str(call.json.get("name"))
            except Refused:
                return None
        return runner.name if runner is not None else None
