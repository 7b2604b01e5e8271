"""Steps as JSON, as a fault's record keeps them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway_sandbox.drills.github_steps import Behave, EndRun, Permit
from gateway_sandbox.drills.monitoring_steps import Go, Uncount
from gateway_sandbox.drills.steps import Create, Delete, DeletePods, Patch, Refill, Step, Target

_WAYS_BACK: dict[str, Callable[..., Step]] = {
    kind.__name__: kind for kind in (Patch, Create, Delete, DeletePods, Behave, Permit, EndRun, Go, Uncount, Refill)
}


def encode(step: Step) -> dict[str, Any]:
    """A step as a JSON object."""
    assert not isinstance(step, type)
    return {"step": type(step).__name__, **asdict(step)}  # type: ignore[call-overload]


def decode(document: dict[str, Any]) -> Step:
    """The step of `encode`; raises KeyError for one of another version."""
    values = {key: value for key, value in document.items() if key != "step"}
    if isinstance(values.get("target"), dict):
        values["target"] = Target(**values["target"])
    if "removed" in values:
        values["removed"] = tuple(values["removed"])
    return _WAYS_BACK[document["step"]](**values)
