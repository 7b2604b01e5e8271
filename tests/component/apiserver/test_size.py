"""The embedded server stays small: what it could grow into exists already, as the real one."""

import ast
import io
import tokenize
from pathlib import Path

import gateway_sandbox.apiserver

LIMIT = 3_000
_SPACE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def code_lines(source: str) -> int:
    """Lines that hold code: neither empty nor comment nor docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for one in tokens if one.type not in _SPACE for line in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_the_embedded_server_stays_under_its_limit() -> None:
    folder = Path(next(iter(gateway_sandbox.apiserver.__path__)))
    counts = {path.name: code_lines(path.read_text()) for path in folder.glob("*.py")}
    assert len(counts) > 20
    assert sum(counts.values()) < LIMIT, sorted(counts.items(), key=lambda one: -one[1])
