"""Keeps secrets out of logs, annotations and outputs: each occurrence becomes `***`.

Source: actions/runner `src/Runner.Common/HostContext.cs` (SecretMasker) and `src/Runner.Worker/ActionCommandManager.cs`
(`add-mask` also masks each line of a text of several lines).
"""

from __future__ import annotations

import re

REPLACEMENT = "***"


class Masker:
    def __init__(self) -> None:
        self._values: set[str] = set()
        self._ordered: list[str] = []
        self._patterns: list[re.Pattern[str]] = []

    def add(self, value: str) -> None:
        """Masks a value from now on; blank text is ignored."""
        for part in (value, *value.splitlines()):
            if part.strip():
                self._values.add(part)
        self._ordered = sorted(self._values, key=len, reverse=True)

    def add_pattern(self, pattern: str) -> None:
        """Masks what matches; a construct that only .NET knows is taken literally."""
        try:
            self._patterns.append(re.compile(pattern))
        except re.error:
            self.add(pattern)

    def mask(self, text: str) -> str:
        for value in self._ordered:
            if value in text:
                text = text.replace(value, REPLACEMENT)
        for pattern in self._patterns:
            text = pattern.sub(REPLACEMENT, text)
        return text
