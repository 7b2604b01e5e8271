"""The table that maps image references to local commands.

It owns the shape of an entry and the lookup. What the entries are is the composition's choice; how a container's
paths are rewritten is `rewriting`'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

RootFunction = Callable[[Path], Path]
"""Lays a part of the image's root file system into the container's folder and returns where it is."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Image:
    """What stands for a container image on this machine."""

    command: tuple[str, ...] = ()
    """The entrypoint, in this machine's paths: never rewritten."""
    env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """The image's environment in the image's own paths: rewritten like the pod's."""
    host_env: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Environment in this machine's paths (PATH, PYTHONPATH): taken as it is."""
    rootfs: Mapping[str, RootFunction] = field(default_factory=lambda: MappingProxyType({}))
    """Absolute paths of the image that exist per container; each function is called once per container start."""
    working_dir: str = "/"


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Images by exact reference, or by repository for any tag and digest."""

    images: Mapping[str, Image]

    def find(self, reference: str) -> Image | None:
        """The entry of `reference`; an exact one is preferred."""
        return self.images.get(reference) or self.images.get(repository_of(reference))


def repository_of(reference: str) -> str:
    """The reference without digest and tag; the port of a registry's host is no tag."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]
