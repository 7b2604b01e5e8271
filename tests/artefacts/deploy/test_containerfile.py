"""The controller's image as its Containerfile states it: what gets in, who runs it, and that it fits the manifests.

`.ci/image` builds it and starts it; here is what can be told from the text.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions_gateway import __main__ as entry
from actions_gateway.agent.jobs.pod import WorkerOrder, WorkerSite, build_worker_pod
from actions_gateway.api.gateway import ActionsGatewaySpec, SecurityProfile
from actions_gateway.api.names import AGENT_CONTAINER
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.parameters import CONTROLLER_IMAGE
from actions_gateway.manager.gateway.agent_deployment import build_agent_deployment
from actions_gateway.manifests.podspec import pod_security
from actions_gateway.worker.packaging import INTERPRETER
from support.manager_objects import gateway

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "controller" / "deploy"

COPIED = "/opt/controller"

Container = dict[str, Any]


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions in order: name and arguments, without comments and line ends."""
    lines = [line for line in (FOLDER / "Containerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def arguments_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def entry_point() -> list[str]:
    (text,) = arguments_of("ENTRYPOINT")
    return list(json.loads(text))


def containers_of_the_image() -> Iterator[Container]:
    """Every container that runs the image: the manager's, the agent's, and the one that installs the wrapper."""
    for manifest in installation_manifests():
        if manifest["kind"] == "Deployment":
            yield from manifest["spec"]["template"]["spec"]["containers"]
    bundle = {"name": "corporate", "key": "root.pem"}
    tenant = gateway(caBundleRef=bundle)
    agent = build_agent_deployment(
        tenant,
        ActionsGatewaySpec.model_validate(tenant["spec"]),
        controller_image=CONTROLLER_IMAGE,
        worker_image="runner:1",
        is_contained=False,
    )
    yield from agent["spec"]["template"]["spec"]["containers"]
    site = WorkerSite("team-a", CONTROLLER_IMAGE, "runner:1", "worker", SecurityProfile.BASELINE)
    order = WorkerOrder("runner-1", "ci-cpu", "uid", "job-0001", "uid", None, {})
    pod = build_worker_pod(order, GroupSettings(runner_labels=["linux"]), site)
    yield from pod["spec"]["initContainers"]


IMAGE_CONTAINERS = list(containers_of_the_image())


def test_three_containers_run_the_image() -> None:
    assert [container["name"] for container in IMAGE_CONTAINERS] == ["manager", AGENT_CONTAINER, "install-wrapper"]
    assert {container["image"] for container in IMAGE_CONTAINERS} == {CONTROLLER_IMAGE}


@pytest.mark.parametrize("container", IMAGE_CONTAINERS, ids=lambda container: container["name"])
def test_no_volume_hides_the_program(container: Container) -> None:
    program = Path(entry_point()[0])
    hidden = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
    assert [path for path in hidden if program.is_relative_to(path)] == []


@pytest.mark.parametrize("container", IMAGE_CONTAINERS, ids=lambda container: container["name"])
def test_the_manifests_leave_the_command_to_the_image_and_name_a_component(container: Container) -> None:
    assert "command" not in container
    assert container["args"][0] in entry._COMMANDS
    assert entry_point()[-2:] == ["-m", entry.__package__]


def test_the_build_makes_the_interpreter_where_the_installation_of_the_wrapper_takes_it() -> None:
    (step,) = [rest for rest in arguments_of("RUN") if "worker bundle" in rest]
    assert f"actions_gateway worker bundle {INTERPRETER} " in step
    # With the modules in place, before all is made readable, and inside of what the last stage copies.
    assert step.index("cp -r /source") < step.index("worker bundle") < step.index(f"chmod -R u=rwX,go=rX {COPIED}")
    assert INTERPRETER.is_relative_to(COPIED)
    assert f"--from=build {COPIED} {COPIED}" in arguments_of("COPY")
    (installer,) = [container for container in IMAGE_CONTAINERS if container["name"] == "install-wrapper"]
    assert installer["args"][:2] == ["worker", "install"]
    assert len(installer["args"]) == 3
    assert installer["terminationMessagePolicy"] == "FallbackToLogsOnError", "what it cannot do is seen on the pod"


def test_the_program_ignores_the_folder_and_the_variables_that_it_is_started_with() -> None:
    assert "-I" in entry_point()


def test_the_image_runs_as_the_user_of_the_manifests() -> None:
    security = pod_security()
    assert arguments_of("USER") == [f"{security['runAsUser']}:{security['runAsGroup']}"]


def test_a_home_is_named_since_the_user_has_none() -> None:
    # kubernetes.aio.config.kube_config asks for it as it is imported.
    assert arguments_of("ENV") == ["HOME=/nonexistent"]


def test_both_stages_take_the_base_from_one_argument_that_a_digest_can_replace() -> None:
    assert {rest.split()[0] for rest in arguments_of("FROM")} == {"${PYTHON_IMAGE}"}
    name, argument = instructions()[0]
    assert name == "ARG"
    assert re.fullmatch(r"PYTHON_IMAGE=docker\.io/library/python:\d\.\d+-slim-[a-z]+", argument)


def test_the_bases_python_is_one_that_the_project_supports_and_the_wheels_are_made_for() -> None:
    version = re.findall(r"python:(\d\.\d+)-slim", instructions()[0][1])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'PYTHON = "{version[0]}"' in (FOLDER / "wheelhouse.py").read_text()
    assert tuple(map(int, version[0].split("."))) >= tuple(map(int, project["requires-python"].strip(">=").split(".")))


def test_the_build_takes_packages_from_the_wheelhouse_alone_and_checks_their_hashes() -> None:
    (install,) = [rest for rest in arguments_of("RUN") if " install " in rest]
    assert {"--no-index", "--require-hashes"} <= set(install.split())
    assert arguments_of("ADD") == []
    assert not re.search(r"apt-get|curl|wget|https?:", "\n".join(arguments_of("RUN")))


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    copied = {rest.split()[0] for rest in arguments_of("COPY") if not rest.startswith("--from")}
    rules = [line for line in (ROOT / ".containerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert "**/__pycache__" in rules


def test_compiled_modules_do_not_depend_on_times() -> None:
    # `buildah build --timestamp` sets one time for all files; modules compiled for another would be compiled again
    # at every start.
    compilations = [rest for rest in arguments_of("RUN") if "compileall" in rest]
    assert len(compilations) == 2
    assert all("--invalidation-mode unchecked-hash" in rest for rest in compilations)


def test_the_labels_say_which_code_it_is() -> None:
    (labels,) = arguments_of("LABEL")
    found = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', labels))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert found["version"] == "${VERSION}"
    assert found["revision"] == "${REVISION}"
    assert found["licenses"] == project["license"]
    assert any('[ "${VERSION}" != "$found" ]' in rest for rest in arguments_of("RUN"))
