"""The health check for Argo CD, run in its Lua on objects whose status manager and agent have written."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from lupa import lua51  # type: ignore[import-untyped]

from actions_gateway.agent.runnergroups.status import GroupFacts, decide_status
from actions_gateway.agent.tokens import verdict
from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.installation.generate import FOLDER
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.resources import DEPLOYMENTS
from actions_gateway.manager.gateway.conditions import Verdict, decide_conditions
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.snapshot import Failure, Snapshot
from actions_gateway.manager.gateway.status import build_status
from actions_gateway.manager.gateway.verdict.lifecycle import deleting_condition
from support import manager_objects as make

Manifest = dict[str, Any]

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
KEY = "resource.customizations.health.actions-gateway.github.com_"
CONTAINED = {"annotations": {labels.CONTAINED: ""}}
WITHDRAWN = ("string", "io", "os", "math", "debug", "coroutine", "require", "dofile", "loadfile", "loadstring")
"""What Argo CD's Lua does not have, by default."""


def health(manifest: Manifest) -> tuple[str, str]:
    """(status, message) of the committed script."""
    scripts = yaml.safe_load((FOLDER / "argocd" / "health.yaml").read_text(encoding="utf-8"))["data"]
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for name in WITHDRAWN:
        lua.globals()[name] = None
    lua.globals()["obj"] = lua.table_from(manifest, recursive=True)
    answer = lua.execute(scripts[KEY + str(manifest["kind"])])
    return str(answer["status"]), str(answer["message"])


def served(owner: Manifest, *, agent: int = 1, proxies: int = 2, **reported: Any) -> Snapshot:
    """A gateway with its children, of which `agent` and `proxies` are up; the group reports all well by default."""
    children = make.with_proxy(make.with_agent(make.children_of(owner), availableReplicas=agent), proxies)
    reported.setdefault("conditions", make.group_conditions())
    return make.snapshot(owner, children=make.with_group_status(children, **reported))


def reported(snapshot: Snapshot, *failures: Failure, leaving: Reason | None = None) -> Manifest:
    """The gateway with the status that the manager writes for the snapshot."""
    plan = decide(snapshot, make.SETTINGS)
    assert plan is not None
    judged = decide_conditions(snapshot, plan, failures, NOW)
    if leaving:
        judged = Verdict((*judged.conditions, deleting_condition(leaving, "Still there: NetworkPolicy x.")))
    status = build_status(snapshot, judged, NOW)
    assert status is not None
    return {**snapshot.gateway, "status": status["status"]}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(reported(served(make.gateway())), "Healthy", id="ready"),
        pytest.param(make.gateway(), "Progressing", id="no status"),
        pytest.param(reported(served(make.gateway(), agent=0)), "Progressing", id="the agent starts"),
        pytest.param(reported(served(make.gateway(), proxies=0)), "Progressing", id="the proxies start"),
        pytest.param(
            reported(served(make.gateway(), conditions=make.group_conditions(ready=False))),
            "Progressing",
            id="no session is open yet",
        ),
        pytest.param(reported(served(make.gateway(), conditions=[])), "Progressing", id="the key is not tried yet"),
        pytest.param(
            reported(served(make.gateway(), conditions=make.group_conditions(ready=False, credential="True"))),
            "Degraded",
            id="the key is rejected",
        ),
        pytest.param(
            reported(served(make.gateway()), Failure(DEPLOYMENTS, "x", Forbidden("a quota says no", status=403))),
            "Degraded",
            id="a step is refused",
        ),
        pytest.param(reported(served(make.gateway(namespace="default"))), "Degraded", id="not served here"),
        pytest.param(
            reported(served(make.gateway(paused=True), conditions=make.group_conditions(ready=False))),
            "Suspended",
            id="paused",
        ),
        pytest.param(reported(served(make.gateway(metadata=CONTAINED), agent=0)), "Suspended", id="contained"),
    ],
)
def test_a_gateways_health_follows_from_its_status(manifest: Manifest, expected: str) -> None:
    status, message = health(manifest)
    assert status == expected
    assert message


def test_a_status_of_an_older_spec_is_progress() -> None:
    manifest = reported(served(make.gateway()))
    manifest["metadata"] = {**manifest["metadata"], "generation": 4}
    assert health(manifest) == ("Progressing", "Nobody has reported on the current spec yet.")


def test_a_deletion_is_progress_and_says_what_remains() -> None:
    manifest = reported(served(make.gateway()), leaving=Reason.REMOVING_OBJECTS)
    manifest["metadata"] = {**manifest["metadata"], "deletionTimestamp": "2026-01-05T09:00:00Z"}
    assert health(manifest) == ("Progressing", "Still there: NetworkPolicy x.")


def group(**changes: Any) -> Manifest:
    """A RunnerGroup with the status that the agent writes."""
    facts: dict[str, Any] = {
        "is_suspended": False,
        "spec_problem": "",
        "active_sessions": 1,
        "busy_sessions": 0,
        "active_jobs": 0,
        "pending_jobs": 0,
        "session_problem": "",
        "verdict": verdict.AVAILABLE,
        "credential": None,
        "registrations": 1,
        "is_rate_limited": False,
    }
    manifest = make.children_of(make.gateway())["RunnerGroup", "ci-cpu"]
    patch = decide_status(manifest, GroupFacts(**(facts | changes)), now=NOW)
    assert patch is not None
    return {**manifest, "status": patch["status"]}


REJECTED = verdict.Verdict(Reason.KEY_REJECTED, "GitHub does not accept the key.")


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(group(), "Healthy", id="a session is open"),
        pytest.param(group(active_sessions=0), "Progressing", id="the first session is being opened"),
        pytest.param(group(active_sessions=0, is_suspended=True), "Suspended", id="suspended"),
        pytest.param(group(active_sessions=0, spec_problem="podTemplate: no"), "Degraded", id="an unusable template"),
        pytest.param(group(refusals=("exceeded quota",)), "Degraded", id="its workers are refused"),
        pytest.param(group(active_sessions=0, verdict=REJECTED), "Degraded", id="the key is rejected"),
    ],
)
def test_a_groups_health_follows_from_its_status(manifest: Manifest, expected: str) -> None:
    status, message = health(manifest)
    assert status == expected
    assert message


def test_an_edited_secret_that_cannot_be_used_leaves_a_gateway_healthy() -> None:
    edited = make.condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.EDITED_SECRET_UNUSABLE)
    listening = make.condition(ConditionType.READY, "True", Reason.LISTENER_ACTIVE)
    assert health(reported(served(make.gateway(), conditions=[listening, edited])))[0] == "Healthy"
