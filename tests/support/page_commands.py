"""The commands in a page's blocks and in its running text, word by word, and what gw's own parser says of them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from gw.app import app
from gw.ops.runbook.places import FORMS, fill
from gw.surroundings import Surroundings

_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?\n(.*?\n)\s*\1$", re.DOTALL | re.MULTILINE)
_OPERATORS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "(", ")", ");", "<<"}
_INLINE = re.compile(r"`(gw [^`]+)`")
_ROOT = typer.main.get_command(app)


def commands_in(script: str) -> Iterator[list[str]]:
    """Each simple command of a shell script as its words; those inside of `$(…)` stand for themselves, too."""
    text = re.sub(r"^\s*#.*$", "", _HEREDOC.sub("", script), flags=re.MULTILINE).replace("\\\n", " ")
    for inner in re.findall(r"\$\(([^()]*)\)", text):
        yield from commands_in(inner)
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _OPERATORS:
                words.append(word)
                continue
            if words:
                yield words
            words = []


def gw_commands_in(script: str) -> list[list[str]]:
    """Only those of gw, without the name of the program, and with examples in its places."""
    filled = fill(script, {place: form.example for place, form in FORMS.items()})
    return [words[1:] for words in commands_in(filled) if words[0] == "gw"]


def inline_commands_in(text: str) -> list[str]:
    """What running text calls a command of gw: in backquotes, and without an ellipsis."""
    return [found for found in _INLINE.findall(text) if "…" not in found]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The parser of the command that the words name, and the words that are left for it."""
    command, rest = _ROOT, list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
    return command, rest


def refusal(words: list[str], *, may_lack: bool = False) -> str:
    """What gw's parser has against a command line, empty when it takes it; `may_lack` forgives what is left out."""
    command, rest = command_of(words)
    if hasattr(command, "commands"):
        return f"{' '.join(words)}: there is no such command" if rest and not rest[0].startswith("-") else ""
    if may_lack:
        return _unknown_options(command, rest)
    try:
        command.make_context("gw", rest, obj=Surroundings())
    except Exception as problem:
        # The class of typer's usage errors has no public name.
        if not hasattr(problem, "format_message"):
            raise
        return f"{' '.join(words)}: {problem.format_message()}"
    return ""


def _unknown_options(command: Any, words: list[str]) -> str:
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", "-h"}
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
    unknown = [word for word in given if word not in known]
    return f"there is no option {unknown[0]}" if unknown else ""
