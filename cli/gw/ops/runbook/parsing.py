"""Reads a page. The machine's part is a comment right above what it is about, which no reader of the page sees:

    <!-- run: needs=gw,gw-oncall before=served after=served changes=asked -->
    ```sh
    gw restart agent TENANT
    ```

    <!-- person: needs=github-owner before=anything after=anything -->
    Revoke the key in the App's settings.

`before` and `after` name conditions of the front matter, where each is a command that exits with 0 while it holds, or
say `anything`. Further keys of a `run:` note: `exits=0,1`, `waits=2`, `confirm=PLACE`; of a `person:` note:
`gives=PLACE,PLACE`; of both: `path=aside`. Whatever is not known, and whatever a procedure leaves out, is refused with
its line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gw.checks.frontmatter import front_matter
from gw.ops.runbook.model import ANYTHING, Block, Changes, Deed, Kind, Need, Page, Section, Step
from gw.ops.runbook.places import FORMS, places_in

_NOTE = re.compile(r"^(?P<indent> *)<!-- (?P<kind>run|person): (?P<words>.*?) -->$")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)$")
_HEADING = re.compile(r"^(?P<marks>#{1,6}) (?P<title>.+)$")
_ANCHOR = re.compile(r'<a id="[^"]*"></a>')
_GENERATED = re.compile(r"^<!-- (generated: [a-z-]+|end of generated) -->$")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SHELL = "sh"
_KEYS = {
    "run": ({"needs", "before", "after", "changes"}, {"exits", "waits", "confirm", "path"}),
    "person": ({"needs", "before", "after"}, {"gives", "path"}),
}
"""Of each sort of note, the keys that it must have and those that it may have."""
_PAGE_KEYS = {"title", "symptoms", "checks", "places", "conditions", "not_rehearsed"}
_CONDITION = re.compile(r"[a-z]+(-[a-z]+)*")


class PageProblem(ValueError):
    """A page is not as its reader needs it; the words name the page and the line."""


@dataclass(frozen=True, slots=True)
class _Note:
    line: int
    kind: str
    indent: str
    values: Mapping[str, str]


def parse_page(text: str, *, name: str, path: str, kind: Kind) -> Page:
    """The page; raises PageProblem. Only procedures have steps, and every shell block of theirs is one."""
    try:
        head = front_matter(text) if kind is not Kind.REFERENCE or text.startswith("---\n") else {}
    except ValueError as problem:
        raise PageProblem(f"{path}: {problem}") from problem
    lines = text.splitlines()
    start = lines.index("---", 1) + 1 if head else 0
    reader = _Reader(path, lines, start)
    is_procedure = kind is Kind.PROCEDURE
    if is_procedure and (unknown := sorted(set(head) - _PAGE_KEYS)):
        raise reader.problem(1, f"the front matter has the unknown key {unknown[0]}")
    sections = tuple(reader.sections())
    page = Page(
        name=name,
        path=path,
        kind=kind,
        title=str(head.get("title") or (sections[0].title if sections else name)),
        symptoms=_texts(head, "symptoms"),
        text=reader.readable(start, len(lines)),
        sections=sections,
        alerts=_texts(head, "alerts"),
        checks=_texts(head, "checks") or ((str(head["check"]),) if "check" in head else ()),
        places=_mapping(head, "places"),
        conditions=_mapping(head, "conditions"),
        steps=tuple(reader.steps()) if is_procedure else (),
        not_rehearsed=str(head.get("not_rehearsed") or ""),
    )
    if is_procedure:
        _refuse_unknown_words(page, reader)
    return page


class _Reader:
    """The lines of one page."""

    def __init__(self, path: str, lines: list[str], start: int) -> None:
        self._path = path
        self._lines = lines
        self._start = start

    def problem(self, line: int, what: str) -> PageProblem:
        return PageProblem(f"{self._path}, line {line}: {what}")

    def readable(self, start: int, end: int) -> str:
        """Those lines without what is for machines."""
        lines = (line for line in self._lines[start:end] if not _NOTE.match(line) and not _GENERATED.match(line))
        kept = [(line, _ANCHOR.sub("", line)) for line in lines]
        return "\n".join(text for line, text in kept if text or not line).strip("\n") + "\n"

    def sections(self) -> Iterator[Section]:
        """Every heading outside of fences."""
        found = list(self._headings())
        for index, (line, level, title) in enumerate(found):
            ends = (later for later, rank, _ in found[index + 1 :] if rank <= level)
            yield Section(title, level, line + 1, self.readable(line, next(ends, len(self._lines))))

    def steps(self) -> Iterator[Step]:
        """Each note with what it is about; raises PageProblem for a shell block without one."""
        number, section, fence = 0, "", ""
        note: _Note | None = None
        headings = {line: title for line, _, title in self._headings()}
        for index in range(self._start, len(self._lines)):
            line = self._lines[index]
            section = headings.get(index, section)
            if fence:
                fence = "" if line.strip() == "```" else fence
                continue
            opened = _FENCE.match(line)
            if note is not None:
                number += 1
                yield self._step(note, number, section, index, opened)
                note = None
            elif opened and opened["language"] == _SHELL:
                raise self.problem(index + 1, "a shell block says nothing of what it needs: put a run: note above it")
            fence = "```" if opened else ""
            if found := _NOTE.match(line):
                note = self._note(index + 1, found)
        if note is not None:
            raise self.problem(note.line, "the note is about nothing")

    def _headings(self) -> Iterator[tuple[int, int, str]]:
        is_fenced = False
        for index in range(self._start, len(self._lines)):
            is_fenced ^= self._lines[index].lstrip().startswith("```")
            if not is_fenced and (found := _HEADING.match(self._lines[index])):
                yield index, len(found["marks"]), found["title"]

    def _note(self, line: int, found: re.Match[str]) -> _Note:
        kind, values = found["kind"], dict[str, str]()
        must, may = _KEYS[kind]
        for word in found["words"].split():
            key, sign, value = word.partition("=")
            if not sign or not value or key in values or key not in must | may:
                raise self.problem(line, f"{word!r} is nothing that a {kind}: note says, or is said twice")
            values[key] = value
        if missing := sorted(must - set(values)):
            raise self.problem(line, f"the {kind}: note lacks {missing[0]}=")
        return _Note(line, kind, found["indent"], values)

    def _step(self, note: _Note, number: int, section: str, index: int, opened: re.Match[str] | None) -> Step:
        common: dict[str, Any] = {
            "number": number,
            "line": note.line,
            "section": section,
            "needs": tuple(self._parsed(note, Need, "needs", word) for word in note.values["needs"].split(",")),
            "before": _conditions(note.values["before"]),
            "after": _conditions(note.values["after"]),
            "is_aside": self._path_of(note),
        }
        is_shell = opened is not None and opened["language"] == _SHELL
        if is_shell != (note.kind == "run"):
            raise self.problem(note.line, f"a {note.kind}: note stands above the wrong thing")
        if note.kind == "person":
            gives = tuple(filter(None, note.values.get("gives", "").split(",")))
            return Deed(**common, text=self._paragraph(note, index), gives=gives)
        return Block(
            **common,
            script=self._script(note, index),
            changes=self._parsed(note, Changes, "changes", note.values["changes"]),
            exits=self._exit_codes(note, "exits") or frozenset({0}),
            waits=self._exit_codes(note, "waits"),
            confirm=note.values.get("confirm", ""),
        )

    def _parsed(self, note: _Note, vocabulary: Any, key: str, word: str) -> Any:
        try:
            return vocabulary(word)
        except ValueError:
            raise self.problem(note.line, f"{key}={word}: known are {', '.join(vocabulary)}") from None

    def _path_of(self, note: _Note) -> bool:
        path = note.values.get("path")
        if path not in (None, "aside"):
            raise self.problem(note.line, f"path={path}: known is aside")
        return path is not None

    def _exit_codes(self, note: _Note, key: str) -> frozenset[int]:
        text = note.values.get(key)
        if text is None:
            return frozenset()
        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", text):
            raise self.problem(note.line, f"{key}={text}: write exit codes with commas")
        return frozenset(map(int, text.split(",")))

    def _script(self, note: _Note, index: int) -> str:
        if _FENCE.match(self._lines[index])["indent"] != note.indent:  # type: ignore[index]
            raise self.problem(note.line, "the note is not indented as its block is")
        inner: list[str] = []
        for line in self._lines[index + 1 :]:
            if line.strip() == "```":
                return "\n".join(inner) + "\n"
            inner.append(line.removeprefix(note.indent))
        raise self.problem(note.line, "the block has no end")

    def _paragraph(self, note: _Note, index: int) -> str:
        words: list[str] = []
        for line in self._lines[index:]:
            if not line.strip():
                break
            words.append(line.strip())
        if not words:
            raise self.problem(note.line, "the note is about nothing")
        text = re.sub(r"^(?:[0-9]+\.|[-*]) ", "", " ".join(words))
        return _LINK.sub(r"\1", text).replace("**", "")


def _refuse_unknown_words(page: Page, reader: _Reader) -> None:
    """Places and conditions are declared where they are used, and used where they are declared."""
    if unknown := sorted(set(page.places) - set(FORMS)):
        raise reader.problem(1, f"{unknown[0]} is no word that stands for anything; known are {', '.join(FORMS)}")
    for name, command in page.conditions.items():
        if not _CONDITION.fullmatch(name) or name == ANYTHING:
            raise reader.problem(1, f"{name} is no name of a condition: write small words with hyphens")
        if missing := sorted(places_in(command) - set(page.places)):
            raise reader.problem(1, f"the condition {name} uses the place {missing[0]}, which is not declared")
    for step in page.steps:
        named = _places_named_by(step)
        if missing := sorted(named - set(page.places)):
            raise reader.problem(step.line, f"the place {missing[0]} is not declared in the front matter")
        if missing := sorted({*step.before, *step.after} - set(page.conditions)):
            raise reader.problem(step.line, f"the condition {missing[0]} is not declared in the front matter")


def _places_named_by(step: Step) -> set[str]:
    match step:
        case Block():
            return places_in(step.script) | set(filter(None, [step.confirm]))
        case Deed():
            return set(step.gives)
        case _:
            return set()


def _conditions(text: str) -> tuple[str, ...]:
    return () if text == ANYTHING else tuple(text.split(","))


def _texts(head: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(entry) for entry in head.get(key) or ())


def _mapping(head: Mapping[str, Any], key: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in (head.get(key) or {}).items()}
