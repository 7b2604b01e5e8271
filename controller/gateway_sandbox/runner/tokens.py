"""Template tokens: the parts of a workflow file that may hold expressions, as a job message carries them.

A token is a plain JSON primitive, or an object with `type`: 1 sequence (`seq`), 2 mapping (`map` of Key and Value),
3 expression (`expr`). Text around expressions becomes one `format(…)` expression. Source: actions/runner
`src/Sdk/DTObjectTemplating/ObjectTemplating/Tokens/TemplateTokenJsonConverter.cs` and `TemplateReader.cs`.
"""

from __future__ import annotations

from .expressions import Expression, ExpressionError, parse
from .values import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .expressions import Scope
    from .values import Value

LITERAL, SEQUENCE, MAPPING, EXPRESSION, INSERT, BOOLEAN, NUMBER, NULL = range(8)
OPENING, CLOSING = "${{", "}}"


def split_template(text: str) -> list[tuple[bool, str]]:
    """Splits text into (is an expression, part); raises ExpressionError for an expression that is not closed."""
    parts: list[tuple[bool, str]] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        if start > position:
            parts.append((False, text[position:start]))
        end = _closing(text, start + len(OPENING))
        parts.append((True, text[start + len(OPENING) : end].strip()))
        position = end + len(CLOSING)
    if position < len(text):
        parts.append((False, text[position:]))
    return parts


def _closing(text: str, position: int) -> int:
    """Where the `}}` of an expression stands; one inside a string literal is part of it."""
    in_string = False
    while position < len(text):
        if text[position] == "'":
            in_string = not in_string
        elif not in_string and text.startswith(CLOSING, position):
            return position
        position += 1
    raise ExpressionError("The expression is not closed. An unescaped ${{ sequence was found, but }} was not")


def template_expression(text: str) -> Expression | None:
    """The one expression that stands for `text`, None when it has none; raises ExpressionError."""
    parts = split_template(text)
    for is_expression, part in parts:
        if is_expression:
            parse(part)
    if not any(is_expression for is_expression, _ in parts):
        return None
    if len(parts) == 1:
        return parse(parts[0][1])
    template, arguments = "", [part for is_expression, part in parts if is_expression]
    place = 0
    for is_expression, part in parts:
        template += f"{{{place}}}" if is_expression else part.replace("{", "{{").replace("}", "}}").replace("'", "''")
        place += is_expression
    return parse(f"format('{template}', {', '.join(arguments)})")


def text_token(text: str) -> Any:
    """The token of one string of a workflow file; raises ExpressionError."""
    expression = template_expression(text)
    return text if expression is None else {"type": EXPRESSION, "expr": expression.text}


def mapping_token(pairs: dict[str, Any]) -> dict[str, Any]:
    """The token of a mapping whose values are tokens already."""
    return {"type": MAPPING, "map": [{"Key": key, "Value": value} for key, value in pairs.items()]}


def evaluate_token(token: Any, scope: Scope) -> Value:
    """The value of a token whose property names are in lower case; raises ExpressionError."""
    if not isinstance(token, dict):
        return token
    kind = token.get("type", LITERAL)
    if kind == EXPRESSION:
        return parse(token.get("expr", "")).evaluate(scope)
    if kind == SEQUENCE:
        return [evaluate_token(item, scope) for item in token.get("seq") or []]
    if kind == MAPPING:
        return {
            to_text(evaluate_token(pair.get("key"), scope)): evaluate_token(pair.get("value"), scope)
            for pair in token.get("map") or []
        }
    plain = {LITERAL: token.get("lit", ""), BOOLEAN: token.get("bool", False), NUMBER: token.get("num", 0), NULL: None}
    if kind not in plain:
        raise ExpressionError(f"a template token has the type {kind!r}, which the sandbox does not know")
    return plain[kind]
