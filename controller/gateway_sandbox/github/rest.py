"""The REST API as routes: App authentication, self-hosted runners, workflow runs and jobs, meta.

Source: GitHub REST docs (paths, status codes, permissions).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from gateway_sandbox.github.apps import Grant, Installation, not_found
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.models import Job, Run
from gateway_sandbox.github.state import Refused, stamp
from gateway_sandbox.github.views import job_json, run_json, runner_json
from gateway_sandbox.github.wire import Call, Reply, Route, page_of

REPOSITORY = "/repos/{owner}/{repository}"
ORGANIZATION = "/orgs/{owner}"


def routes(github: GitHub) -> list[Route]:
    api = Rest(github)
    runs, jobs = REPOSITORY + "/actions/runs", REPOSITORY + "/actions/jobs"
    table: list[tuple[str, str, str, Callable[[Call], Any]]] = [
        ("app", "GET", "/app", api.app),
        ("installation", "GET", "/app/installations/{id}", api.installation),
        ("create_token", "POST", "/app/installations/{id}/access_tokens", api.create_token),
        ("suspend", "PUT", "/app/installations/{id}/suspended", api.suspend),
        ("unsuspend", "DELETE", "/app/installations/{id}/suspended", api.unsuspend),
        ("revoke_token", "DELETE", "/installation/token", api.revoke_token),
        ("repository", "GET", REPOSITORY, api.repository),
        ("organization", "GET", ORGANIZATION, api.organization),
        ("list_runs", "GET", runs, api.list_runs),
        ("get_run", "GET", runs + "/{id}", api.get_run),
        ("list_run_jobs", "GET", runs + "/{id}/jobs", api.list_run_jobs),
        ("rerun", "POST", runs + "/{id}/rerun", api.rerun),
        ("rerun_failed", "POST", runs + "/{id}/rerun-failed-jobs", api.rerun_failed),
        ("cancel", "POST", runs + "/{id}/cancel", api.cancel),
        ("force_cancel", "POST", runs + "/{id}/force-cancel", api.force_cancel),
        ("get_job", "GET", jobs + "/{id}", api.get_job),
        ("job_log", "GET", jobs + "/{id}/logs", api.job_log),
        ("rerun_job", "POST", jobs + "/{id}/rerun", api.rerun_job),
        ("meta", "GET", "/meta", api.meta),
        ("rate_limit", "GET", "/rate_limit", api.rate_limit),
    ]
    for scope in (REPOSITORY, ORGANIZATION):
        runners = scope + "/actions/runners"
        table += [
            ("generate_jitconfig", "POST", runners + "/generate-jitconfig", api.generate_jitconfig),
            ("list_runners", "GET", runners, api.list_runners),
            ("get_runner", "GET", runners + "/{id}", api.get_runner),
            ("delete_runner", "DELETE", runners + "/{id}", api.delete_runner),
        ]
    return [Route(f"rest.{name}", method, template, handler) for name, method, template, handler in table]


class Rest:
    """One handler per endpoint; each authenticates first."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._apps = github.apps
        self._agents = github.agents
        self._runs = github.workflows
        self._state = github.state

    # ------------------------------------------------------ App and installation

    def app(self, call: Call) -> Reply:
        app = self._apps.app_of(call.bearer)
        return Reply(200, {"id": app.id, "client_id": app.client_id, "slug": app.slug, "name": app.slug})

    def _installation(self, call: Call) -> Installation:
        return self._apps.installation_of(self._apps.app_of(call.bearer), _id(call))

    def installation(self, call: Call) -> Reply:
        found = self._installation(call)
        body = {
            "id": found.id,
            "app_id": found.app.id,
            "app_slug": found.app.slug,
            "account": {"login": found.account, "type": "Organization"},
            "permissions": dict(found.permissions),
            "repository_selection": "all" if found.repositories == "all" else "selected",
            "suspended_at": stamp(found.suspended_at),
        }
        return Reply(200, body)

    def create_token(self, call: Call) -> Reply:
        return Reply(201, self._apps.create_token(self._installation(call), call.json))

    def suspend(self, call: Call) -> Reply:
        self._installation(call).suspended_at = self._state.clock.now()
        return Reply(204)

    def unsuspend(self, call: Call) -> Reply:
        self._installation(call).suspended_at = None
        return Reply(204)

    def revoke_token(self, call: Call) -> Reply:
        self._apps.revoke(call.bearer)
        return Reply(204)

    def _granted(self, call: Call, permission: str, level: str) -> Grant:
        return self._apps.authorize(call.bearer, _scope(call), permission, level)

    def repository(self, call: Call) -> Reply:
        self._granted(call, "metadata", "read")
        owner, name = call.params["owner"], call.params["repository"]
        body = {"name": name, "full_name": f"{owner}/{name}", "owner": {"login": owner}, "private": True}
        return Reply(200, body | {"default_branch": "main"})

    def organization(self, call: Call) -> Reply:
        self._granted(call, "metadata", "read")
        return Reply(200, {"login": call.params["owner"], "type": "Organization"})

    # -------------------------------------------------------------------- runners

    def _runner_scope(self, call: Call, level: str) -> str:
        permission = "administration" if "repository" in call.params else "organization_self_hosted_runners"
        self._granted(call, permission, level)
        return _scope(call)

    async def generate_jitconfig(self, call: Call) -> Reply:
        runner, blob = await self._agents.register(self._runner_scope(call, "write"), call.json)
        return Reply(201, {"runner": runner_json(runner, is_online=False), "encoded_jit_config": blob})

    def list_runners(self, call: Call) -> Reply:
        found = self._agents.listed(self._runner_scope(call, "read"), call.query.get("name"))
        views = [runner_json(runner, is_online=self._agents.is_online(runner)) for runner in found]
        return self._page(call, "runners", views)

    def get_runner(self, call: Call) -> Reply:
        runner = self._agents.get(self._runner_scope(call, "read"), _id(call))
        return Reply(200, runner_json(runner, is_online=self._agents.is_online(runner)))

    def delete_runner(self, call: Call) -> Reply:
        self._agents.delete(self._agents.get(self._runner_scope(call, "write"), _id(call)))
        return Reply(204)

    # -------------------------------------------------------------- runs and jobs

    def _run(self, call: Call, level: str) -> Run:
        self._granted(call, "actions", level)
        run = self._state.runs.get(_id(call))
        if run is None or run.repository != _scope(call):
            raise not_found()
        return run

    def _job(self, call: Call, level: str) -> Job:
        self._granted(call, "actions", level)
        job = self._state.jobs.get(_id(call))
        if job is None or job.run.repository != _scope(call):
            raise not_found()
        return job

    def list_runs(self, call: Call) -> Reply:
        """`status` may name a status or a conclusion; newest first."""
        self._granted(call, "actions", "read")
        wanted = call.query.get("status")
        found = [
            run_json(self._state, run)
            for run in reversed(self._state.runs.values())
            if run.repository == _scope(call) and wanted in (None, run.status, run.conclusion)
        ]
        return self._page(call, "workflow_runs", found)

    def get_run(self, call: Call) -> Reply:
        return Reply(200, run_json(self._state, self._run(call, "read")))

    def list_run_jobs(self, call: Call) -> Reply:
        run = self._run(call, "read")
        jobs = run.jobs if call.query.get("filter", "latest") == "latest" else run.earlier_jobs + run.jobs
        return self._page(call, "jobs", [job_json(self._state, job) for job in jobs])

    def get_job(self, call: Call) -> Reply:
        return Reply(200, job_json(self._state, self._job(call, "read")))

    def job_log(self, call: Call) -> Reply:
        """GitHub redirects to a file store; the text itself is what a reader ends up with."""
        job = self._job(call, "read")
        if not job.log:
            raise not_found()
        return Reply(200, "".join(job.log))

    def rerun(self, call: Call) -> Reply:
        self._runs.rerun(self._run(call, "write"))
        return Reply(201, {})

    def rerun_failed(self, call: Call) -> Reply:
        self._runs.rerun_failed(self._run(call, "write"))
        return Reply(201, {})

    def rerun_job(self, call: Call) -> Reply:
        self._runs.rerun_job(self._job(call, "write"))
        return Reply(201, {})

    def cancel(self, call: Call) -> Reply:
        self._runs.cancel(self._run(call, "write"))
        return Reply(202, {})

    def force_cancel(self, call: Call) -> Reply:
        self._runs.cancel(self._run(call, "write"), force=True)
        return Reply(202, {})

    # ---------------------------------------------------------------------- other

    def meta(self, call: Call) -> Reply:
        body = dict(self._state.settings.meta)
        etag = f'"{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]}"'
        unchanged = call.headers.get("if-none-match") == etag
        return Reply(304, None, {"ETag": etag}) if unchanged else Reply(200, body, {"ETag": etag})

    def rate_limit(self, call: Call) -> Reply:
        headers = self._apps.rate_headers(call.bearer)
        core = {name: int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "used", "reset")}
        return Reply(200, {"resources": {"core": core}, "rate": core})

    def _page(self, call: Call, name: str, items: Sequence[dict[str, Any]]) -> Reply:
        page, headers = page_of(call, items, self._state.base_url)
        return Reply(200, {"total_count": len(items), name: list(page)}, headers)


def _scope(call: Call) -> str:
    repository = call.params.get("repository")
    return call.params["owner"] if repository is None else f"{call.params['owner']}/{repository}"


def _id(call: Call) -> int:
    if not call.params["id"].isdigit():
        raise Refused(404, {"message": "Not Found", "status": "404"})
    return int(call.params["id"])
