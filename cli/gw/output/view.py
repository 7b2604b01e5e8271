"""A result ready to be printed in any of the formats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

JSON_VERSION = "gw/v1"
"""Changes only when a key of any document goes or changes its meaning; new keys may come at any time."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """One result. `kind` and the keys of `data` are stable; `lines` is for people and may change."""

    kind: str
    data: Json
    lines: Callable[[], Sequence[Text]]
    short: Sequence[str]
    """One line per thing, for pipes."""

    def document(self) -> dict[str, Any]:
        """The versioned document of `-o json` and `-o yaml`."""
        return {"version": JSON_VERSION, "kind": self.kind, **self.data}
