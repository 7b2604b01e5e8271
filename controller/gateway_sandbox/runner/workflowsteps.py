"""The `steps:` of a job as the wire form of actions/runner `src/Sdk/DTPipelines/Pipelines/ActionStep.cs`."""

import re
from typing import Any

from .shells import SHELLS
from .templates import STEP_CONDITION_CONTEXTS, STEP_CONTEXTS, condition, text_map_token, token
from .tokens import mapping_token
from .yamlsource import Node, WorkflowError

STEP_KEYS = (
    "id", "name", "if", "run", "shell", "working-directory", "uses", "with", "env", "continue-on-error",
    "timeout-minutes",
)  # fmt: skip
RUN_ONLY = ("shell", "working-directory")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
ACTION = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<path>[^@]+))?@(?P<ref>.+)")


def parse_steps(node: Node, where: str) -> tuple[dict[str, Any], ...]:
    """The steps without their ids, which a run gives; raises WorkflowError."""
    nodes = node.items(where)
    if not nodes:
        raise WorkflowError(f"{where} is empty; add a step with `run:`", node.line)
    names = _ContextNames()
    return tuple(_step(item, f"{where}[{index}]", names) for index, item in enumerate(nodes))


class _ContextNames:
    """Unique names under which the `steps` context knows the steps: their ids, else made from what they run."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def given(self, node: Node, where: str) -> str:
        name = node.text(where)
        if not IDENTIFIER.fullmatch(name) or name.startswith("__"):
            advice = "use letters, digits, - and _, beginning with a letter or one _"
            raise WorkflowError(f"{where} {name!r} is no identifier; {advice}", node.line)
        if name.lower() in self._taken:
            line = self._taken[name.lower()]
            raise WorkflowError(f"{where} {name!r} is taken by the step in line {line}; choose another", node.line)
        self._taken[name.lower()] = node.line
        return name

    def made(self, base: str, line: int) -> str:
        name, count = f"__{base}", 1
        while name in self._taken:
            count += 1
            name = f"__{base}_{count}"
        self._taken[name] = line
        return name


def _step(node: Node, where: str, names: _ContextNames) -> dict[str, Any]:
    members = node.only(where, STEP_KEYS)
    if ("run" in members) == ("uses" in members):
        state = "has both `run:` and `uses:`; split it" if "run" in members else "has neither `run:` nor `uses:`"
        raise WorkflowError(f"{where} {state}", node.line)
    is_script = "run" in members
    for key in ("with",) if is_script else RUN_ONLY:
        if key in members:
            needed = "uses" if is_script else "run"
            raise WorkflowError(f"{where}.{key} belongs to a step with `{needed}:`; remove it", node.key_lines[key])
    reference, base = ({"type": "script"}, "run") if is_script else _reference(members["uses"], f"{where}.uses")
    context_name = names.given(members["id"], f"{where}.id") if "id" in members else names.made(base, node.line)
    step: dict[str, Any] = {
        "type": "action",
        "reference": reference,
        "contextName": context_name,
        "name": context_name,
        "condition": condition(members.get("if"), f"{where}.if", STEP_CONDITION_CONTEXTS),
        "inputs": _script_inputs(members, where) if is_script else _action_inputs(members, where),
    }
    optional = {
        "name": "displayNameToken",
        "continue-on-error": "continueOnError",
        "timeout-minutes": "timeoutInMinutes",
    }
    for key, wire_key in optional.items():
        if key in members:
            step[wire_key] = _scalar_token(members[key], f"{where}.{key}")
    if "env" in members:
        step["environment"] = text_map_token(members["env"], f"{where}.env", STEP_CONTEXTS)
    return step


def _scalar_token(node: Node, where: str) -> Any:
    node.text(where)
    return token(node, where, STEP_CONTEXTS)


def _script_inputs(members: dict[str, Node], where: str) -> dict[str, Any]:
    if not members["run"].text(f"{where}.run").strip():
        raise WorkflowError(f"{where}.run is empty; write a command", members["run"].line)
    if "shell" in members:
        check_shell(members["shell"], f"{where}.shell")
    wire_keys = {"run": "script", "shell": "shell", "working-directory": "workingDirectory"}
    pairs = {
        wire_key: _text_token(members[key], f"{where}.{key}") for key, wire_key in wire_keys.items() if key in members
    }
    return mapping_token(pairs)


def _text_token(node: Node, where: str) -> Any:
    found = token(node, where, STEP_CONTEXTS)
    return found if isinstance(found, dict) else node.text(where)


def check_shell(node: Node, where: str) -> None:
    """Raises WorkflowError for a shell that no runner of the sandbox has."""
    shell = node.text(where)
    if shell not in SHELLS and "{0}" not in shell and "${{" not in shell:
        raise WorkflowError(
            f"{where} {shell!r} is not supported; use bash, sh, python, pwsh or a command with {{0}}", node.line
        )


def _action_inputs(members: dict[str, Node], where: str) -> Any:
    return text_map_token(members["with"], f"{where}.with", STEP_CONTEXTS) if "with" in members else mapping_token({})


def _reference(node: Node, where: str) -> tuple[dict[str, Any], str]:
    text = node.text(where)
    base = re.sub(r"[^A-Za-z0-9]+", "_", text.split("@")[0].removeprefix("docker://")).strip("_") or "action"
    if text.startswith("docker://"):
        return {"type": "containerRegistry", "image": text.removeprefix("docker://")}, base
    if text.startswith("./"):
        return {"type": "repository", "repositoryType": "self", "path": text}, base
    match = ACTION.fullmatch(text)
    if match is None:
        raise WorkflowError(f"{where} {text!r} is no action; write owner/repo@ref, ./path or docker://image", node.line)
    name, path, ref = match["name"], match["path"] or "", match["ref"]
    return {"type": "repository", "repositoryType": "GitHub", "name": name, "path": path, "ref": ref}, base
