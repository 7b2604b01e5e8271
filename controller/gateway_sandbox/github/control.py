"""The sandbox's own API under `/sandbox/`: start runs from workflow files, watch them, look inside, inject faults."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from gateway_sandbox.github.apps import LEVELS, Installation
from gateway_sandbox.github.core import DEFAULT_REPOSITORY, GitHub
from gateway_sandbox.github.faults import PRESETS, Action, Fault, Match
from gateway_sandbox.github.models import Run
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.state import Refused, stamp
from gateway_sandbox.github.views import sandbox_run_json, sandbox_runner_json
from gateway_sandbox.github.wire import Call, Reply, Route


def routes(github: GitHub, control_token: str | None) -> list[Route]:
    """Guarded by a bearer token unless it is None."""
    control = Control(github)
    table: list[tuple[str, str, str, Callable[[Call], Reply]]] = [
        ("start_run", "POST", "/runs", control.start_run),
        ("list_runs", "GET", "/runs", control.list_runs),
        ("get_run", "GET", "/runs/{id}", control.get_run),
        ("cancel_run", "POST", "/runs/{id}/cancel", control.cancel_run),
        ("job_log", "GET", "/runs/{id}/jobs/{job}/log", control.job_log),
        ("state", "GET", "/state", control.state),
        ("requests", "GET", "/requests", control.requests),
        ("inject", "POST", "/faults", control.inject),
        ("clear_faults", "DELETE", "/faults", control.clear_faults),
        ("get_installation", "GET", "/installations/{id}", control.get_installation),
        ("grant", "PUT", "/installations/{id}", control.grant),
        ("list_keys", "GET", "/apps/{id}/keys", control.list_keys),
        ("add_key", "POST", "/apps/{id}/keys", control.add_key),
        ("delete_key", "DELETE", "/apps/{id}/keys", control.delete_key),
    ]

    def guarded(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
        def check(call: Call) -> Reply:
            if control_token is not None and not hmac.compare_digest(call.bearer or "", control_token):
                raise Refused(401, {"message": "The control token is missing or wrong."})
            return handler(call)

        return check

    return [
        Route(f"sandbox.{name}", method, "/sandbox" + path, guarded(handler)) for name, method, path, handler in table
    ]


class Control:
    """One handler per endpoint."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._state = github.state

    def start_run(self, call: Call) -> Reply:
        wish = call.json
        repository, text = wish.get("repository", DEFAULT_REPOSITORY), wish.get("workflow")
        path, source = wish.get("path") or "sandbox.yml", wish.get("source")
        if not isinstance(text, str) or not isinstance(path, str) or not isinstance(source, str | None):
            raise Refused(422, {"message": "workflow and path are texts, source is a text or null."})
        if not isinstance(repository, str) or len(repository.split("/")) != 2 or not all(repository.split("/")):
            raise Refused(422, {"message": "repository has the form owner/name."})
        run = self._github.start_workflow(text, repository=repository, path=path, source=source)
        return Reply(201, sandbox_run_json(self._state, run))

    def _run(self, call: Call) -> Run:
        run_id = call.params["id"]
        return self._github.run_of(int(run_id) if run_id.isdigit() else 0)

    def list_runs(self, call: Call) -> Reply:
        return Reply(200, {"runs": [sandbox_run_json(self._state, run) for run in self._github.runs()]})

    def get_run(self, call: Call) -> Reply:
        return Reply(200, sandbox_run_json(self._state, self._run(call)))

    def cancel_run(self, call: Call) -> Reply:
        self._github.cancel(self._run(call), force=call.query.get("force") == "true")
        return Reply(202, {})

    def job_log(self, call: Call) -> Reply:
        run, wanted = self._run(call), call.params["job"]
        for job in (*run.jobs, *run.earlier_jobs):
            if str(job.id) == wanted:
                return Reply(200, "".join(job.log))
        raise Refused(404, {"message": "The run has no such job."})

    def state(self, call: Call) -> Reply:
        github, agents = self._github, self._github.agents
        runners = [sandbox_runner_json(runner, is_online=agents.is_online(runner)) for runner in github.runners()]
        sessions = [
            {
                "id": session.id,
                "runner": session.runner.name,
                "owner_name": session.owner_name,
                "has_open_poll": session.poll is not None,
            }
            for session in github.sessions()
        ]
        violations = [
            {"at": stamp(entry.at), "what": entry.what, "detail": entry.detail} for entry in github.violations()
        ]
        faults = [
            {"id": entry.id, "title": entry.fault.title, "action": entry.fault.action, "hits": entry.hits}
            for entry in github.faults.active
        ]
        jobs = [job for run in github.runs() for job in run.jobs]
        body = {
            "runners": runners,
            "sessions": sessions,
            "open_polls": github.open_poll_count,
            "jobs": {
                status: sum(job.status == status for job in jobs) for status in ("queued", "in_progress", "completed")
            },
            "queued_labels": [list(job.plan.labels) for job in jobs if job.status == "queued"],
            "violations": violations,
            "faults": faults,
            "requests": github.journal.counts(),
        }
        return Reply(200, body)

    def requests(self, call: Call) -> Reply:
        """The recorded requests to an endpoint, oldest first."""
        found = self._github.journal.requests(call.query.get("endpoint") or "*")
        fields = [{"at": one.at.isoformat(), "runner": one.runner, "status": one.status} for one in found]
        return Reply(200, {"requests": fields})

    # ------------------------------------------------------------------ faults

    def inject(self, call: Call) -> Reply:
        fault = parse_fault(call.json)
        return Reply(201, {"id": self._github.inject(fault), "title": fault.title, "action": fault.action})

    def clear_faults(self, call: Call) -> Reply:
        """All, or the one that `id` names."""
        fault_id = call.query.get("id")
        self._github.clear_faults(int(fault_id) if fault_id is not None and fault_id.isdigit() else None)
        return Reply(204)

    # ------------------------------------------------------------------ installations

    def get_installation(self, call: Call) -> Reply:
        """What the App's installation is permitted."""
        return Reply(200, {"permissions": dict(self._installation(call).permissions)})

    def grant(self, call: Call) -> Reply:
        """Replaces its permissions; tokens made before are void."""
        permissions = call.json.get("permissions")
        if not isinstance(permissions, dict) or not {str(level) for level in permissions.values()} <= set(LEVELS):
            raise Refused(422, {"message": f"permissions maps names to levels: {', '.join(LEVELS)}."})
        self._github.apps.grant(self._installation(call).id, permissions)
        return self.get_installation(call)

    def _installation(self, call: Call) -> Installation:
        found = self._github.apps.installations.get(int(call.params["id"]) if call.params["id"].isdigit() else 0)
        if found is None:
            raise Refused(404, {"message": "There is no such installation."})
        return found

    # ------------------------------------------------------------------ keys of Apps, which people keep by hand

    def list_keys(self, call: Call) -> Reply:
        """The fingerprints of the App's keys, oldest first."""
        return Reply(200, {"keys": self._github.apps.keys_of(self._app_id(call))})

    def add_key(self, call: Call) -> Reply:
        """One more key, by its public half in PEM; the others work on."""
        try:
            self._github.apps.add_key(self._app_id(call), str(call.json.get("public_key")))
        except ValueError as problem:
            raise Refused(422, {"message": f"public_key is a public RSA key in PEM: {problem}."}) from problem
        return Reply(201, {"keys": self._github.apps.keys_of(self._app_id(call))})

    def delete_key(self, call: Call) -> Reply:
        """Takes the key of `fingerprint` from the App."""
        try:
            self._github.apps.delete_key(self._app_id(call), call.query.get("fingerprint", ""))
        except KeyError:
            raise Refused(404, {"message": "The App has no such key."}) from None
        except ValueError as problem:
            raise Refused(422, {"message": f"{problem}."}) from problem
        return self.list_keys(call)

    def _app_id(self, call: Call) -> int:
        app_id = int(call.params["id"]) if call.params["id"].isdigit() else 0
        try:
            self._github.apps.keys_of(app_id)
        except KeyError:
            raise Refused(404, {"message": "There is no such App."}) from None
        return app_id


def parse_fault(wish: Mapping[str, Any]) -> Fault:
    """A fault from `{"preset": name}` or from its fields, `match` narrowing either; Refused 422 with what is wrong."""
    wish = dict(wish)
    preset, narrowed = wish.pop("preset", None), wish.pop("match", {})
    if preset is not None and preset not in PRESETS:
        raise Refused(422, {"message": f"There is no fault named {preset!r}.", "presets": sorted(PRESETS)})
    unknown = set(wish) - {field.name for field in fields(Fault)} | set(narrowed) - {f.name for f in fields(Match)}
    unknown |= set(wish.get("settings", {})) - {field.name for field in fields(SimulatorSettings)}
    if unknown:
        raise Refused(422, {"message": f"Unknown fields of a fault: {', '.join(sorted(unknown))}"})
    if preset is None and wish.get("action") not in list(Action):
        raise Refused(422, {"message": f"A fault needs a preset or an action: {', '.join(Action)}"})
    base = PRESETS[preset] if preset is not None else Fault(str(wish["action"]), Action(wish["action"]))
    if "action" in wish:
        wish["action"] = Action(wish["action"])
    return replace(base, **wish, match=Match(**(asdict(base.match) | narrowed)))
