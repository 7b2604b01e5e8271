"""What the server serves: one `Kind` per group, version and resource, built-in or from a CRD, and their registry."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_sandbox.apiserver.schema import Node
from gateway_sandbox.apiserver.statuses import Cause

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a resource keeps what the scale subresource shows (dotted paths without the leading dot)."""

    replicas: str
    observed: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `cell` reads it from an object.

    `kind` is the type that clients see, or name, created (a timestamp as it is) or age; age and date are timestamps
    that are shown as ages.
    """

    name: str
    kind: str
    cell: Callable[[Json], Any]
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One served resource and everything that the generic mechanism needs to know about it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    node: Node
    schema: Json
    """The OpenAPI schema that `kubectl explain` reads."""
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    scale: ScalePaths | None = None
    is_custom: bool = False
    counts_generation: bool = False
    needs_version_on_put: bool = False
    fixed_fields: tuple[str, ...] = ()
    """Dotted paths that never change once set."""
    selectable_fields: tuple[str, ...] = ()
    """What field selectors may name besides name and namespace; `x.*` means every field of x."""
    faults: Callable[[Json], list[Cause]] | None = None
    """Value validation beyond the compiled schema (custom resources)."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """For a kind that is another spelling of a stored one: its field names to the stored names."""

    @property
    def storage(self) -> tuple[str, str]:
        """Group and plural under which objects are stored; versions and spellings of one resource share it."""
        return "" if self.renames else self.group, self.plural

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_api_version(self) -> str:
        """The `apiVersion` that stored objects carry."""
        return "v1" if self.renames else self.api_version

    def to_stored(self, obj: Json) -> Json:
        """The stored spelling of an object that a client sent."""
        return {self.renames.get(name, name): value for name, value in obj.items()} if self.renames else obj

    def to_served(self, obj: Json) -> Json:
        """The client's spelling of a stored object (only the outer dict is new)."""
        back = {stored: served for served, stored in self.renames.items()}
        served = {back.get(name, name): value for name, value in obj.items()} if back else obj
        return served if served.get("apiVersion") == self.api_version else served | {"apiVersion": self.api_version}


class Registry:
    """The kinds served now, by API path."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}

    def add(self, kind: Kind) -> None:
        self._kinds[kind.group, kind.version, kind.plural] = kind

    def remove(self, kind: Kind) -> None:
        self._kinds.pop((kind.group, kind.version, kind.plural), None)

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def by_storage(self, storage: tuple[str, str]) -> Kind:
        """The kind in whose form objects of a storage are kept: the first one registered."""
        return next(kind for kind in self if kind.storage == storage)

    def by_name(self, api_version: str, kind: str) -> Kind | None:
        return next((known for known in self if known.kind == kind and known.api_version == api_version), None)

    def group_versions(self) -> dict[str, list[str]]:
        """The served groups and their versions, in the order of registration."""
        found: dict[str, list[str]] = {}
        for kind in self:
            versions = found.setdefault(kind.group, [])
            if kind.version not in versions:
                versions.append(kind.version)
        return found

    def in_group_version(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self if (kind.group, kind.version) == (group, version)]

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())
