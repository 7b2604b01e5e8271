"""What keeps a worker's pod from running, and whether waiting helps."""

from typing import Any

import pytest

from actions_gateway.agent.jobs.trouble import Trouble, trouble_of

IMAGE = "ghcr.io/team/runner:1"


def waiting(reason: str, message: str = "", name: str = "runner") -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "state": {"waiting": {"reason": reason, "message": message}}}


def pod(*containers: dict[str, Any], init: Any = (), phase: str = "Pending", conditions: Any = ()) -> dict[str, Any]:
    status = {"phase": phase, "conditions": list(conditions), "containerStatuses": list(containers)}
    return {"metadata": {"name": "p"}, "status": status | {"initContainerStatuses": list(init)}}


def found(*containers: dict[str, Any], **fields: Any) -> Trouble:
    trouble = trouble_of(pod(*containers, **fields))
    assert trouble is not None
    return trouble


PERMANENT = [
    ("InvalidImageName", 'Failed to apply default image tag "UPPER": couldn\'t parse image name'),
    ("InvalidImageName", "connection timed out"),
    ("ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never'),
    ("ImageInspectError", f'Failed to inspect image "{IMAGE}": layer is corrupt'),
    ("CreateContainerConfigError", 'configmap "settings" not found'),
    ("CreateContainerConfigError", "couldn't find key token in Secret team-a/mine"),
    ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
    ("CreateContainerError", "failed to generate spec: no command specified"),
    ("SignatureValidationFailed", "source image rejected: signature required"),
    ("ErrImagePull", f'failed to resolve reference "{IMAGE}": {IMAGE}: not found'),
    ("ErrImagePull", f"reading manifest 1 in {IMAGE}: manifest unknown"),
    ("ErrImagePull", "pull access denied, repository does not exist or may require authorization"),
    ("ErrImagePull", "failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden"),
    ("ErrImagePull", "reading manifest latest: unauthorized: authentication required"),
    ("ErrImagePull", 'no match for platform in manifest "sha256:0": not found'),
    ("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {IMAGE}: not found'),
]

PASSING = [
    ("RegistryUnavailable", "registry is not available"),
    ("ErrImagePull", "failed to do request: dial tcp: lookup ghcr.io: no such host"),
    ("ErrImagePull", "failed to do request: dial tcp 192.0.2.1:443: i/o timeout"),
    ("ErrImagePull", "unexpected status from HEAD request: 503 Service Unavailable"),
    ("ErrImagePull", "failed to fetch oauth token: unexpected status: 502 Bad Gateway: denied"),
    ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit"),
    ("ErrImagePull", "rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
    ("ImagePullBackOff", 'Back-off pulling image "ghcr.io/team/denied:1"'),
    ("ImagePullBackOff", "Back-off pulling image ghcr.io/not found/unauthorized"),
    ("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition"),
    ("CreateContainerConfigError", "services have not yet been read at least once, cannot construct envvars"),
    ("CreateContainerError", "context deadline exceeded"),
    ("CreateContainerError", "the runtime timed out"),
    ("CreateContainerError", 'failed to reserve container name "a": name "a" is reserved for "b"'),
    ("ImageInspectError", "rpc error: code = Unavailable desc = connection error"),
    ("RunContainerError", "failed to start"),
    ("CrashLoopBackOff", "back-off 10s restarting failed container"),
    ("SomethingNew", "unheard of"),
]


@pytest.mark.parametrize(("reason", "message"), PERMANENT)
def test_what_nobody_but_a_person_can_repair_is_permanent(reason: str, message: str) -> None:
    trouble = found(waiting(reason, message))
    assert trouble.is_permanent
    assert trouble == found(init=[waiting(reason, message, "runner")]), "init containers are judged alike"
    assert trouble.text == f"container runner: {reason}: {message}"


@pytest.mark.parametrize(("reason", "message"), PASSING)
def test_what_may_end_by_itself_passes(reason: str, message: str) -> None:
    trouble = found(waiting(reason, message))
    assert not trouble.is_permanent
    assert trouble.reason == reason


@pytest.mark.parametrize("reason", ["", "ContainerCreating", "PodInitializing"])
def test_a_container_that_waits_for_its_turn_is_no_trouble(reason: str) -> None:
    assert trouble_of(pod(waiting(reason))) is None


def test_a_permanent_trouble_is_told_before_a_passing_one() -> None:
    init = [waiting("RegistryUnavailable", name="prepare")]
    assert found(waiting("InvalidImageName"), init=init).text == "container runner: InvalidImageName"


def test_a_sidecar_s_image_does_not_hold_the_runner_back() -> None:
    trouble = found(waiting("PodInitializing"), waiting("InvalidImageName", name="sidecar"))
    assert trouble.text == "container sidecar: InvalidImageName"
    assert not trouble.is_permanent


@pytest.mark.parametrize("state", [{"running": {}}, {"terminated": {"exitCode": 0}}])
def test_a_pod_whose_runner_has_run_has_none(state: Any) -> None:
    sidecar = waiting("InvalidImageName", name="sidecar")
    assert trouble_of(pod({"name": "runner", "state": state}, sidecar, init=[sidecar])) is None


def test_a_runner_that_waits_beside_a_running_sidecar_has_trouble_although_the_pod_runs() -> None:
    sidecar = {"name": "sidecar", "state": {"running": {}}}
    assert found(sidecar, waiting("InvalidImageName"), phase="Running").is_permanent


def test_a_pod_that_has_ended_has_none() -> None:
    assert trouble_of(pod(waiting("InvalidImageName"), phase="Failed")) is None


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (
            {"reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."},
            "not scheduled (Unschedulable): 0/3 nodes are available: 3 Insufficient cpu.",
        ),
        ({"reason": "SchedulingGated"}, "not scheduled (SchedulingGated)"),
        ({}, "not scheduled (Unschedulable)"),
    ],
)
def test_a_pod_without_a_node_tells_the_scheduler_s_words(condition: dict[str, str], text: str) -> None:
    trouble = found(conditions=[{"type": "PodScheduled", "status": "False", **condition}])
    assert (trouble.text, trouble.is_permanent) == (text, False)


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_a_pod_that_is_scheduled_or_not_looked_at_has_none(status: str) -> None:
    assert trouble_of(pod(conditions=[{"type": "PodScheduled", "status": status}])) is None
    assert trouble_of({"metadata": {}}) is None


def test_a_long_message_is_cut() -> None:
    assert len(found(waiting("ErrImagePull", "x" * 5000)).text) == 600
