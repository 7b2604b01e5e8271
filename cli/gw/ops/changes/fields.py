"""Which fields differ between two states of one object, as people read them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SERVERS_OWN = frozenset(
    {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp"}
)
_VALUE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that changes; None for what is not there before or after."""

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}: {self.after}"
        if self.after is None:
            return f"- {self.path}: {self.before}"
        return f"~ {self.path}: {self.before} -> {self.after}"


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The fields that differ, without those that the server keeps."""
    return tuple(_differences(_kept(before), _kept(after), ""))


def _kept(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _SERVERS_OWN}
    rest = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def _differences(before: Any, after: Any, path: str) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and (entries := _paired(before, after)) is not None:
        for name, left, right in entries:
            yield from _differences(left, right, f"{path}[{name}]")
    else:
        yield FieldChange(path, _shown(before), _shown(after))


def _paired(before: Sequence[Any], after: Sequence[Any]) -> list[tuple[object, Any, Any]] | None:
    """Entries beside each other by their names, or by their places in lists of equal length; None for neither."""
    left, right = _by_name(before), _by_name(after)
    if left is not None and right is not None:
        return [(name, left.get(name), right.get(name)) for name in dict.fromkeys((*left, *right))]
    if len(before) == len(after):
        return [(index, *pair) for index, pair in enumerate(zip(before, after, strict=True))]
    return None


def _by_name(entries: Sequence[Any]) -> dict[str, Any] | None:
    names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return dict(zip(map(str, names), entries, strict=True))


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"
