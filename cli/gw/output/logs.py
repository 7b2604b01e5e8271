"""Log lines for people and for programs: one line of a container is one line here, and its trace below it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from gw.output.layout import cleaned, styled
from gw.output.view import View
from gw.sources.logs import Level, LogLine, LogSource, parse_entry

_STYLES = {Level.DEBUG: "dim", Level.INFO: "dim", Level.WARNING: "warn", Level.ERROR: "bad"}
_WIDTH = max(len(level) for level in Level)
_TRACES = ("exception", "stack")
"""Fields of several lines."""


class LogPrinting:
    """How the lines of these containers are told apart: by nothing when there is one, else by pod, and container."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._is_alone = len(sources) == 1
        pods = {(source.namespace, source.pod) for source in sources}
        self._with_container = len(pods) < len(sources)
        self._with_namespace = len({source.namespace for source in sources}) > 1

    def view(self, line: LogLine) -> View:
        """One line, in any format."""
        return View(
            kind="LogLine",
            data=_document(line),
            lines=lambda: list(self._lines(line)),
            short=[line.text],
        )

    def _lines(self, line: LogLine) -> Iterator[Text]:
        entry = parse_entry(line.text)
        fields = dict(entry.fields)
        traces = [str(fields.pop(name)) for name in _TRACES if name in fields]
        text = Text()
        if line.at is not None:
            text.append_text(styled(f"{line.at:%Y-%m-%dT%H:%M:%S}.{line.at.microsecond // 1000:03d}Z ", "dim"))
        if not self._is_alone:
            text.append_text(styled(f"{self._name(line.source)} ", "head"))
        if entry.level is not None:
            text.append_text(styled(f"{entry.level.ljust(_WIDTH)} ", _STYLES[entry.level]))
        text.append(cleaned(entry.event))
        for name, value in fields.items():
            text.append_text(styled(f" {name}=", "dim"))
            text.append(cleaned(_value(value)))
        text.rstrip()
        yield text
        for trace in traces:
            yield from (Text(f"    {cleaned(each)}") for each in trace.splitlines())

    def _name(self, source: LogSource) -> str:
        name = f"{source.namespace}/{source.pod}" if self._with_namespace else source.pod
        return f"{name}/{source.container}" if self._with_container else name


def _value(value: Any) -> str:
    """A word as it is, anything else as JSON, so that fields stay apart."""
    if isinstance(value, str) and value and not any(sign in value for sign in ' "=\n\t'):
        return value
    return json.dumps(value, ensure_ascii=False)


def _document(line: LogLine) -> dict[str, Any]:
    entry = parse_entry(line.text)
    return {
        "tenant": line.source.namespace,
        "pod": line.source.pod,
        "container": line.source.container,
        "at": line.at.isoformat(timespec="microseconds").replace("+00:00", "Z") if line.at else None,
        "level": entry.level.value if entry.level else None,
        "event": entry.event,
        "fields": dict(entry.fields),
        "text": line.text,
    }
