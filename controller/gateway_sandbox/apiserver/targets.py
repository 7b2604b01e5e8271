"""What a URL path addresses."""

from dataclasses import dataclass

from gateway_sandbox.apiserver.kinds import Kind, Registry
from gateway_sandbox.apiserver.statuses import ApiError, left_out
from gateway_sandbox.apiserver.store import Key

_REFUSED_SUBRESOURCES = frozenset(
    {"exec", "attach", "portforward", "proxy", "ephemeralcontainers", "resize", "eviction", "finalize"}
)


@dataclass(frozen=True, slots=True)
class Target:
    """A collection (`name` empty) or an object, or one of its subresources."""

    kind: Kind
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return self.namespace, self.name


def nothing_there() -> ApiError:
    """The answer to a path that no resource has."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def split_path(path: str) -> tuple[str, str, list[str]]:
    """Group, version and the rest of an API path; raises ApiError 404 for any other path."""
    match path.strip("/").split("/"):
        case ["api", version, *rest] if rest:
            return "", version, rest
        case ["apis", group, version, *rest] if rest:
            return group, version, rest
    raise left_out(path, 404)


def parse_target(registry: Registry, path: str) -> Target:
    """The target of an API path; raises ApiError 404 for an unknown resource, 501 for one that is left out."""
    group, version, rest = split_path(path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2:] not in (["status"], ["finalize"]):
        namespace, rest = rest[1], rest[2:]
    kind = registry.find(group, version, rest[0])
    if kind is None:
        raise left_out(f"{rest[0]} of {f'{group}/{version}'.lstrip('/')}", 404)
    if namespace and not kind.namespaced:
        raise nothing_there()
    name, subresource = (rest[1:2] or [""])[0], "/".join(rest[2:])
    if subresource.split("/")[0] in _REFUSED_SUBRESOURCES:
        raise left_out(f"{kind.plural}/{subresource}")
    if subresource and subresource not in kind.subresources:
        raise nothing_there()
    return Target(kind, namespace, name, subresource)
