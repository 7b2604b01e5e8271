"""RunnerGroups: one per entry of the gateway's spec."""

from actions_gateway.api.gateway import ActionsGatewaySpec, RunnerGroupEntry
from actions_gateway.api.names import runner_group_name
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import RUNNERGROUPS
from actions_gateway.manager.gateway.ownership import build_child


def build_runner_groups(gateway: Manifest, spec: ActionsGatewaySpec) -> list[Manifest]:
    """The desired RunnerGroups, in the order of the entries."""
    return [_runner_group(gateway, spec, entry) for entry in spec.runner_groups]


def _runner_group(gateway: Manifest, spec: ActionsGatewaySpec, entry: RunnerGroupEntry) -> Manifest:
    settings = entry.model_dump(mode="json", by_alias=True, exclude={"name", "pod_template"}, exclude_none=True)
    if entry.pod_template is not None:
        # Free-form: taken as the tenant wrote it, nulls included.
        settings["podTemplate"] = entry.pod_template
    name = runner_group_name(gateway["metadata"]["name"], entry.name)
    suspended = entry.suspended or spec.paused
    return build_child(gateway, RUNNERGROUPS, name, spec={**settings, "suspended": suspended})
