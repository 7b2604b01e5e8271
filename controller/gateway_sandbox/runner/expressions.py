"""Workflow expressions: `parse` text into a tree, `evaluate` it over contexts.

Grammar: GitHub Docs "Evaluate expressions in workflows and actions"; actions/runner `src/Sdk/DTExpressions2/
Expressions2/ExpressionParser.cs` and `Tokens/LexicalAnalyzer.cs`.
"""

from __future__ import annotations

import re

from .functions import FUNCTIONS, REFUSED_FUNCTIONS, STATUS_FUNCTIONS, FunctionError
from .values import is_truthy, less_than, loosely_equal, member, to_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from .values import Value

CONTEXTS = (
    "github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs",
)  # fmt: skip
"""GitHub Docs "Contexts reference"."""

MAXIMUM_DEPTH = 50
MAXIMUM_LENGTH = 21_000
"""Limits of actions/runner `src/Sdk/DTExpressions2/Expressions2/ExpressionConstants.cs`."""

TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:0x[0-9a-fA-F]+|0o[0-7]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![A-Za-z0-9_.]))"
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<symbol>==|!=|<=|>=|&&|\|\||[()\[\].,!<>*]))",
    re.ASCII,
)
LITERALS = {"null": None, "true": True, "false": False}


class ExpressionError(ValueError):
    """The text is no expression, or cannot be evaluated; the message names the place."""


class FilteredList(list["Value"]):
    """What `.*` gives: a further member is taken of each element."""


class Scope:
    """What an expression may read: contexts by name and the answers of the status functions."""

    __slots__ = ("contexts", "status")

    def __init__(self, contexts: Mapping[str, Value], status: Mapping[str, Callable[[], bool]] | None = None) -> None:
        self.contexts = contexts
        self.status = status or {}


class Node:
    """One part of a parsed expression."""

    __slots__ = ()

    def evaluate(self, scope: Scope) -> Value:
        raise NotImplementedError


class Literal(Node):
    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def evaluate(self, scope: Scope) -> Value:
        return self.value


class Name(Node):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def evaluate(self, scope: Scope) -> Value:
        if self.name not in scope.contexts:
            raise ExpressionError(f"the context {self.name!r} is not available here")
        return scope.contexts[self.name]


class Member(Node):
    __slots__ = ("container", "key")

    def __init__(self, container: Node, key: Node) -> None:
        self.container = container
        self.key = key

    def evaluate(self, scope: Scope) -> Value:
        container, key = self.container.evaluate(scope), self.key.evaluate(scope)
        if isinstance(container, FilteredList):
            found = (member(element, key) for element in container)
            return FilteredList(item for item in found if item is not None)
        return member(container, key)


class Members(Node):
    """`.*` and `[*]`."""

    __slots__ = ("container",)

    def __init__(self, container: Node) -> None:
        self.container = container

    def evaluate(self, scope: Scope) -> Value:
        container = self.container.evaluate(scope)
        parts = container if isinstance(container, FilteredList) else [container]
        return FilteredList(item for part in parts for item in _elements(part))


def _elements(container: Value) -> list[Value]:
    if isinstance(container, dict):
        return list(container.values())
    return container if isinstance(container, list) else []


class Not(Node):
    __slots__ = ("operand",)

    def __init__(self, operand: Node) -> None:
        self.operand = operand

    def evaluate(self, scope: Scope) -> Value:
        return not is_truthy(self.operand.evaluate(scope))


class Logic(Node):
    """`&&` and `||`: the value of the operand that decided."""

    __slots__ = ("left", "right", "stops_at")

    def __init__(self, left: Node, right: Node, *, stops_at: bool) -> None:
        self.left = left
        self.right = right
        self.stops_at = stops_at

    def evaluate(self, scope: Scope) -> Value:
        left = self.left.evaluate(scope)
        return left if is_truthy(left) is self.stops_at else self.right.evaluate(scope)


class Comparison(Node):
    __slots__ = ("left", "operator", "right")

    def __init__(self, operator: str, left: Node, right: Node) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def evaluate(self, scope: Scope) -> Value:
        return COMPARISONS[self.operator](self.left.evaluate(scope), self.right.evaluate(scope))


COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "==": loosely_equal,
    "!=": lambda left, right: not loosely_equal(left, right),
    "<": less_than,
    ">": lambda left, right: less_than(right, left),
    "<=": lambda left, right: less_than(left, right) or loosely_equal(left, right),
    ">=": lambda left, right: less_than(right, left) or loosely_equal(left, right),
}


class Call(Node):
    __slots__ = ("arguments", "name")

    def __init__(self, name: str, arguments: list[Node]) -> None:
        self.name = name
        self.arguments = arguments

    def evaluate(self, scope: Scope) -> Value:
        if self.name in STATUS_FUNCTIONS:
            if self.name not in scope.status:
                raise ExpressionError(f"{self.name}() can be used in conditions only")
            return scope.status[self.name]()
        try:
            return FUNCTIONS[self.name][2](*(argument.evaluate(scope) for argument in self.arguments))
        except FunctionError as exc:
            raise ExpressionError(str(exc)) from exc


class Expression:
    """A parsed expression; `contexts` and `functions` are the names that it uses, in lower case."""

    __slots__ = ("contexts", "functions", "root", "text")

    def __init__(self, text: str, root: Node, contexts: set[str], functions: set[str]) -> None:
        self.text = text
        self.root = root
        self.contexts = contexts
        self.functions = functions

    def evaluate(self, scope: Scope) -> Value:
        """Raises ExpressionError."""
        return self.root.evaluate(scope)


def parse(text: str) -> Expression:
    """Parses what stands between `${{` and `}}`; raises ExpressionError."""
    if len(text) > MAXIMUM_LENGTH:
        raise ExpressionError(f"Exceeded max expression length {MAXIMUM_LENGTH}")
    parser = _Parser(text)
    root = parser.disjunction()
    if parser.kind:
        parser.unexpected()
    return Expression(text, root, parser.contexts, parser.functions)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.contexts: set[str] = set()
        self.functions: set[str] = set()
        self.position = 0
        self._end = 0
        self._depth = 0
        self.kind: str | None = ""
        self.token = ""
        self._advance()

    def _advance(self) -> str:
        """Moves to the next token; returns the one before."""
        previous = self.token
        match = TOKEN.match(self.text, self._end)
        if match is None:
            rest = self.text[self._end :]
            self.position = self._end + len(rest) - len(rest.lstrip())
            self.kind, self.token = None, self.text[self.position : self.position + 20].split(" ")[0]
            if self.token:
                self.unexpected()
            return previous
        self.kind = match.lastgroup
        self.token = match[self.kind or 0]
        self.position, self._end = match.start(self.kind or 0), match.end()
        return previous

    def unexpected(self) -> NoReturn:
        what = f"Unexpected symbol: {self.token!r}" if self.token else "Unexpected end of expression"
        raise ExpressionError(f"{what}. Located at position {self.position + 1} within expression: {self.text.strip()}")

    def _accepts(self, *symbols: str) -> bool:
        return self.kind == "symbol" and self.token in symbols

    def _expect(self, symbol: str) -> None:
        if not self._accepts(symbol):
            self.unexpected()
        self._advance()

    def disjunction(self) -> Node:
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise ExpressionError(f"Exceeded max expression depth {MAXIMUM_DEPTH}")
        node = self._conjunction()
        while self._accepts("||"):
            self._advance()
            node = Logic(node, self._conjunction(), stops_at=True)
        self._depth -= 1
        return node

    def _conjunction(self) -> Node:
        node = self._equality()
        while self._accepts("&&"):
            self._advance()
            node = Logic(node, self._equality(), stops_at=False)
        return node

    def _equality(self) -> Node:
        node = self._relation()
        while self._accepts("==", "!="):
            node = Comparison(self._advance(), node, self._relation())
        return node

    def _relation(self) -> Node:
        node = self._negation()
        while self._accepts("<", "<=", ">", ">="):
            node = Comparison(self._advance(), node, self._negation())
        return node

    def _negation(self) -> Node:
        count = 0
        while self._accepts("!"):
            self._advance()
            count += 1
        node = self._postfix()
        for _ in range(count % 2 or min(count, 2)):
            node = Not(node)
        return node

    def _postfix(self) -> Node:
        node = self._primary()
        while self._accepts(".", "["):
            node = self._property(node) if self._advance() == "." else self._index(node)
        return node

    def _property(self, container: Node) -> Node:
        if self._accepts("*"):
            self._advance()
            return Members(container)
        if self.kind != "name":
            self.unexpected()
        return Member(container, Literal(self._advance()))

    def _index(self, container: Node) -> Node:
        node: Node
        if self._accepts("*"):
            self._advance()
            node = Members(container)
        else:
            node = Member(container, self.disjunction())
        self._expect("]")
        return node

    def _primary(self) -> Node:
        if self._accepts("("):
            self._advance()
            node = self.disjunction()
            self._expect(")")
            return node
        if self.kind == "number":
            return Literal(to_number(self._advance()))
        if self.kind == "string":
            return Literal(self._advance()[1:-1].replace("''", "'"))
        if self.kind != "name":
            self.unexpected()
        return self._name()

    def _name(self) -> Node:
        position, written = self.position, self._advance()
        name = written.lower()
        if self._accepts("("):
            return self._call(name, written, position)
        if name in LITERALS:
            return Literal(LITERALS[name])
        if name not in CONTEXTS:
            self._unrecognized("named-value", written, position)
        self.contexts.add(name)
        return Name(name)

    def _call(self, name: str, written: str, position: int) -> Node:
        if name in REFUSED_FUNCTIONS:
            raise ExpressionError(REFUSED_FUNCTIONS[name])
        if name not in FUNCTIONS and name not in STATUS_FUNCTIONS:
            self._unrecognized("function", written, position)
        arguments = self._arguments()
        fewest, most = FUNCTIONS[name][:2] if name in FUNCTIONS else (0, 0)
        if not fewest <= len(arguments) <= most:
            few = len(arguments) < fewest
            raise ExpressionError(f"Too {'few' if few else 'many'} parameters supplied to function {written!r}")
        self.functions.add(name)
        return Call(name, arguments)

    def _arguments(self) -> list[Node]:
        self._expect("(")
        arguments: list[Node] = []
        while not self._accepts(")"):
            if arguments:
                self._expect(",")
            arguments.append(self.disjunction())
        self._advance()
        return arguments

    def _unrecognized(self, kind: str, written: str, position: int) -> NoReturn:
        where = f"Located at position {position + 1} within expression: {self.text.strip()}"
        raise ExpressionError(f"Unrecognized {kind}: {written!r}. {where}")
