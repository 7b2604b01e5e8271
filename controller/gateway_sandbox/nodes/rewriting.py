"""From a pod's paths and variables to this machine's, as pure text functions.

A container sees its mounts under absolute paths; a process without namespaces cannot, so each known path prefix is
replaced in everything the pod spec says. Text is rewritten before variables are expanded: an expanded value holds
paths of this machine already, and must not be taken for the container's.
"""

import re
from collections.abc import Mapping

# A path starts neither inside a longer one nor behind a variable, quoted or not: `${HOME}/tmp`, `"$HOME"/tmp`.
_BEFORE = r"(?<![\w./}\])~*])(?<![\w}\])][\"'])"
_AFTER = r"(?![\w.+@%~-])"
_REFERENCE = re.compile(r"\$(?:\$|\(([^()$\s]+)\))")


class PathMap:
    """Absolute path prefixes of a container and the local paths that stand for them; the longest prefix wins."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = {_normal(prefix): target for prefix, target in targets.items()}
        longest_first = sorted(self._targets, key=len, reverse=True)
        alternatives = "|".join(re.escape(prefix) for prefix in longest_first)
        self._pattern = re.compile(f"{_BEFORE}(?:{alternatives}){_AFTER}") if alternatives else None

    def rewrite(self, text: str) -> str:
        """`text` with each occurrence of a prefix replaced, where it starts a path and ends at a path component."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._targets[match.group()], text)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expands `$(NAME)`; an unknown name stays as it is, and `$$` is a plain dollar sign.

    Source: kubernetes third_party/forked/golang/expansion/expand.go.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else variables.get(name, match.group())

    return _REFERENCE.sub(value, text)


def _normal(path: str) -> str:
    return path.rstrip("/") or "/"
