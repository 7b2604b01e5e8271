"""Template tokens from a workflow file, with every expression checked where it stands.

Which contexts each place may use: GitHub Docs "Contexts reference", table "Context availability".
"""

from typing import Any

from .expressions import Expression, ExpressionError, Scope, parse
from .functions import STATUS_FUNCTIONS
from .tokens import split_template, template_expression
from .values import Value
from .yamlsource import Node, WorkflowError

RUN_CONTEXTS = ("github", "inputs", "vars")
WORKFLOW_ENV_CONTEXTS = (*RUN_CONTEXTS, "secrets")
JOB_CONDITION_CONTEXTS = (*RUN_CONTEXTS, "needs")
JOB_CONTEXTS = (*JOB_CONDITION_CONTEXTS, "strategy", "matrix")
JOB_ENV_CONTEXTS = (*JOB_CONTEXTS, "secrets")
DEFAULTS_CONTEXTS = (*JOB_CONTEXTS, "env")
STEP_CONDITION_CONTEXTS = (*JOB_CONTEXTS, "job", "runner", "env", "steps")
STEP_CONTEXTS = (*STEP_CONDITION_CONTEXTS, "secrets")


def checked(text: str, line: int, where: str, contexts: tuple[str, ...]) -> Expression | None:
    """The expression in a text, None when it has none; raises WorkflowError."""
    try:
        expression = template_expression(text)
    except ExpressionError as exc:
        raise WorkflowError(f"{where}: {exc}", line) from exc
    if expression is not None:
        _check(expression, line, where, contexts, allows_status=False)
    return expression


def _check(expression: Expression, line: int, where: str, contexts: tuple[str, ...], *, allows_status: bool) -> None:
    unavailable = sorted(expression.contexts - set(contexts))
    if unavailable:
        available = ", ".join(contexts)
        raise WorkflowError(f"{where} cannot use the context {unavailable[0]!r}; available are {available}", line)
    status = sorted(expression.functions & set(STATUS_FUNCTIONS))
    if status and not allows_status:
        raise WorkflowError(f"{where} cannot use {status[0]}(); it belongs into an `if:`", line)


def token(node: Node, where: str, contexts: tuple[str, ...]) -> Any:
    """The token of any value; raises WorkflowError."""
    if isinstance(node.value, dict):
        pairs = [{"Key": key, "Value": token(item, f"{where}.{key}", contexts)} for key, item in node.value.items()]
        return {"type": 2, "map": pairs}
    if isinstance(node.value, tuple):
        return {"type": 1, "seq": [token(item, where, contexts) for item in node.value]}
    if not isinstance(node.value, str):
        return node.value
    expression = checked(node.value, node.line, where, contexts)
    if expression is None:
        return node.value
    return {"type": 3, "file": 1, "line": node.line, "expr": expression.text}


def text_map_token(node: Node, where: str, contexts: tuple[str, ...]) -> Any:
    """The token of a mapping of names to scalars, as `env`, `with` and `outputs` are; raises WorkflowError."""
    if isinstance(node.value, str) and checked(node.value, node.line, where, contexts) is not None:
        raise WorkflowError(f"{where} must be written as names and values, not as one expression", node.line)
    for key, item in node.mapping(where).items():
        if isinstance(item.value, (dict, tuple)):
            raise WorkflowError(f"{where}.{key} must be text, not {item.kind}", item.line)
    return token(node, where, contexts)


def condition(node: Node | None, where: str, contexts: tuple[str, ...]) -> str:
    """The condition as it goes over the wire: without `${{ }}`, and with `success()` unless it asks for the status
    itself; raises WorkflowError."""
    if node is None:
        return "success()"
    text = node.text(where).strip()
    try:
        parts = split_template(text)
        if any(is_expression for is_expression, _ in parts):
            if len(parts) != 1:
                raise WorkflowError(f"{where} is always true like this; put all of it into one ${{{{ }}}}", node.line)
            text = parts[0][1]
        expression = parse(text)
    except ExpressionError as exc:
        raise WorkflowError(f"{where}: {exc}", node.line) from exc
    _check(expression, node.line, where, contexts, allows_status=True)
    return text if expression.functions & set(STATUS_FUNCTIONS) else f"success() && ({text})"


def evaluated(node: Node, where: str, scope: Scope) -> Value:
    """The value of a checked node; raises WorkflowError."""
    if isinstance(node.value, dict):
        return {key: evaluated(item, f"{where}.{key}", scope) for key, item in node.value.items()}
    if isinstance(node.value, tuple):
        return [evaluated(item, where, scope) for item in node.value]
    if not isinstance(node.value, str):
        return node.value
    expression = template_expression(node.value)
    if expression is None:
        return node.value
    if "needs" in expression.contexts:
        advice = "the sandbox plans all jobs before the first one runs, so write the value here"
        raise WorkflowError(f"{where} depends on results of other jobs; {advice}", node.line)
    try:
        return expression.evaluate(scope)
    except ExpressionError as exc:
        raise WorkflowError(f"{where}: {exc}", node.line) from exc
