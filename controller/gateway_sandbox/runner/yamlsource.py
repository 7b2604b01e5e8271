"""Reads YAML into values that know their line, so that every complaint about a workflow file names its place.

Scalars follow YAML 1.2's core schema, as GitHub reads them: `on`, `yes` and `off` are text.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import yaml

MAXIMUM_NODES = 50_000
MAXIMUM_DEPTH = 50
"""Aliases can make a short file very large; these bound what is read."""

INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Scalar = str | int | float | bool | None


class WorkflowError(ValueError):
    """A workflow file cannot be used: `message` is one sentence with the next step, `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it stands; `key_lines` has the lines of a mapping's keys."""

    value: "Scalar | tuple[Node, ...] | dict[str, Node]"
    line: int
    key_lines: dict[str, int]

    def mapping(self, where: str) -> "dict[str, Node]":
        """The members; raises WorkflowError when this is no mapping."""
        if not isinstance(self.value, dict):
            raise WorkflowError(f"{where} must be a mapping of names to values, not {self.kind}", self.line)
        return self.value

    def only(self, where: str, known: Collection[str], refused: "dict[str, str] | None" = None) -> "dict[str, Node]":
        """The members, all of them in `known`; raises WorkflowError with the advice that `refused` has for a key."""
        members = self.mapping(where)
        for key in members:
            line = self.key_lines[key]
            if refused and key in refused:
                raise WorkflowError(f"{where}.{key} {refused[key]}", line)
            if key not in known:
                raise WorkflowError(f"{where} has the unknown key {key!r}; known are {', '.join(known)}", line)
        return members

    def items(self, where: str) -> "tuple[Node, ...]":
        """The elements; raises WorkflowError when this is no list."""
        if not isinstance(self.value, tuple):
            raise WorkflowError(f"{where} must be a list, not {self.kind}", self.line)
        return self.value

    def text(self, where: str) -> str:
        """The scalar as text; raises WorkflowError for nothing, a list or a mapping."""
        if isinstance(self.value, (dict, tuple)) or self.value is None:
            raise WorkflowError(f"{where} must be text, not {self.kind}", self.line)
        return scalar_text(self.value)

    @property
    def kind(self) -> str:
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, tuple):
            return "a list"
        # The value itself is not repeated: a file named by mistake may be a key.
        return "empty" if self.value is None else _SCALAR_KINDS.get(type(self.value), "a value")


_SCALAR_KINDS = {str: "a text", bool: "true or false", int: "a number", float: "a number"}


def scalar_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def parse_yaml(text: str) -> Node:
    """The document's root; raises WorkflowError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise WorkflowError(_syntax_message(exc), mark.line + 1 if mark else None) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise WorkflowError(f"the file is not YAML text: {str(exc).splitlines()[0]}") from exc
    if root is None:
        raise WorkflowError("the file is empty; a workflow has `on:` and `jobs:`", 1)
    return _Converter().convert(root, 0)


def _syntax_message(exc: yaml.MarkedYAMLError) -> str:
    problem = " ".join(part for part in (exc.context, exc.problem) if part)
    advice = "indent with spaces" if "\\t" in problem else "check indentation, colons and quotes around this line"
    return f"the file is not valid YAML ({problem}); {advice}"


class _Converter:
    def __init__(self) -> None:
        self._count = 0

    def convert(self, node: yaml.Node, depth: int) -> Node:
        line = node.start_mark.line + 1
        self._count += 1
        if depth > MAXIMUM_DEPTH or self._count > MAXIMUM_NODES:
            raise WorkflowError("the file is nested too deeply or too large once its aliases are resolved", line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.convert(item, depth + 1) for item in node.value), line, {})
        is_plain = not (isinstance(node, yaml.ScalarNode) and node.style)
        return Node(_scalar(node.value, is_plain=is_plain), line, {})

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> Node:
        members: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise WorkflowError("a name must be text, not a list or a mapping", key_line)
            key = key_node.value
            if key in members:
                raise WorkflowError(f"{key!r} stands here twice (first in line {key_lines[key]}); keep one", key_line)
            members[key] = self.convert(value_node, depth + 1)
            key_lines[key] = key_line
        return Node(members, line, key_lines)


def _scalar(text: str, *, is_plain: bool) -> Scalar:
    if not is_plain:
        return text
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    return float(text) if FLOAT.fullmatch(text) else text
