"""Keeps a bundle within its size, takes credentials out of all that comes into it, and remembers what is missing."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gw.ops.bundle.model import BundleFile, BundleRequest, NotRead, Removal
from gw.ops.redaction import LineRedactor, Rule, redact_object, redact_text

_RESERVED_BYTES = 128 * 1024
"""For the beginning of the manifest, and what compression adds to content that cannot be compressed."""
_FILE_BYTES = 3072
"""What a file costs beside its content: headers and padding of the archive (pax(5)), its entry in the manifest."""
_ENTRY_BYTES = 128
"""What an entry of the manifest costs beside its texts."""
_MOST_PLACES = 1000
"""Of removals that the manifest lists one by one; the others are counted by rule."""
_MOST_NOT_READ = 500
_LONGEST_REASON = 300

Removed = Counter[tuple[Rule, str]]


class Collector:
    """The files so far."""

    def __init__(self, request: BundleRequest) -> None:
        self._is_redacted = request.is_redacted
        self._is_of_one = request.namespace is not None
        self._room = request.max_bytes - _RESERVED_BYTES
        self._places = 0
        self.files: list[BundleFile] = []
        self.not_read: list[NotRead] = []
        self.removed: Counter[Rule] = Counter()

    @property
    def room(self) -> int:
        """How many bytes a next file may have."""
        return max(0, self._room - _FILE_BYTES)

    # -- redaction

    def clean(self, value: Any, removed: Removed, subject: str = "") -> Any:
        """A JSON value as it may leave; `subject` names the object that it is."""
        if not self._is_redacted:
            return value

        def note(rule: Rule, path: str) -> None:
            removed[rule, f"{subject}: {path}" if subject else path] += 1

        return redact_object(value, note)

    def line_cleaner(self, removed: Removed) -> Callable[[str], str]:
        """What makes of each line of one log the line that may leave."""

        def note(rule: Rule) -> None:
            removed[rule, ""] += 1

        return LineRedactor(note).redact if self._is_redacted else lambda line: line

    # -- files

    def add(self, path: str, content: bytes, removed: Removed, cut: str = "") -> None:
        """Takes a file in; one that does not fit is only named."""
        if len(content) > self.room:
            self.leave_out(path, f"it has {len(content)} bytes, and no room was left")
            return
        places = [Removal(rule, where, times) for (rule, where), times in sorted(removed.items())]
        for place in places:
            self.removed[place.rule] += place.times
        listed = places[: _MOST_PLACES - self._places]
        self._places += len(listed)
        self._room -= _FILE_BYTES + len(content) + len(cut)
        self._room -= sum(_ENTRY_BYTES + len(each.where) for each in listed)
        self.files.append(BundleFile(path, content, tuple(listed), cut))

    def add_document(self, path: str, document: Mapping[str, Any]) -> None:
        """A document that is whole or missing."""
        removed: Removed = Counter()
        self.add(path, rendered(self.clean(document, removed)), removed)

    def add_items(
        self, path: str, items: Iterable[tuple[str, Mapping[str, Any]]], *, share: float = 1.0, cut: str = ""
    ) -> None:
        """A JSON array of objects with their names, up to a share of the room; the first ones stay."""
        most, size, removed = int(self.room * share), 4, Removed()
        parts: list[bytes] = []
        for subject, item in items:
            of_item: Removed = Counter()
            part = rendered(self.clean(item, of_item, subject)).rstrip()
            if size + len(part) + 2 > most:
                cut = cut or f"only the first {len(parts)} fit into the size that was asked for"
                break
            parts.append(part)
            size += len(part) + 2
            removed.update(of_item)
        if parts:
            self.add(path, b"[\n" + b",\n".join(parts) + b"\n]\n", removed, cut)
        elif cut:
            self.leave_out(path, cut)

    def leave_out(self, what: str, reason: str, *, is_platforms: bool = False, is_unserved: bool = False) -> None:
        """Notes what is missing: `is_platforms` of what one tenant's people may lack the right to."""
        if len(self.not_read) >= _MOST_NOT_READ:
            return
        short = redact_text(" ".join(reason.split())[:_LONGEST_REASON].rstrip("."), lambda _: None)
        self._room -= _ENTRY_BYTES + len(what) + len(short)
        self.not_read.append(NotRead(what, short, is_unserved or (is_platforms and self._is_of_one)))


def rendered(document: Any) -> bytes:
    """JSON in a fixed order."""
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace") + b"\n"
