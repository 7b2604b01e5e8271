"""What `gw install` is asked for, checked before a cluster is touched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from actions_gateway import __version__
from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import EgressException, parse_dns_peers, parse_egress_exceptions
from actions_gateway.installation.parameters import DEFAULTS
from actions_gateway.installation.release import (
    Images,
    Release,
    ReleaseInvalid,
    check_reference,
    is_pinned,
    parse_release,
)
from actions_gateway.installation.selection import parse_selection
from actions_gateway.settings import TenantNamespaces
from gw.errors import Refused
from gw.sources.settings import InstalledSettings

T = TypeVar("T")

PAGE = "runbooks/procedures/install.md"
EGRESS_PAGE = "runbooks/procedures/egress.md"
BUILD_STEP = (
    "Build and push one from a checkout: `buildah build --file controller/deploy/Containerfile "
    "--build-context wheelhouse=FOLDER --build-arg VERSION=$(gw version -o short) --tag IMAGE .`, then `buildah push "
    "--digestfile FILE IMAGE` (runbooks/procedures/build-images.md has every step); name it with --controller-image "
    "IMAGE@sha256:… or in a release file."
)
_IMAGE_OPTIONS = ("--controller-image", "--worker-image", "--proxy-image")
_DIGEST_STEP = (
    "Name it by digest, as {option} REPOSITORY@sha256:…; `buildah push --digestfile FILE` writes the digest of what "
    "you push, and `skopeo inspect docker://IMAGE` tells another's. For a try-out, add --allow-floating-tags."
)
_LINKS = ("runbook_url", "grafana_url")
_LISTS: Mapping[str, tuple[str, Callable[[str], tuple[str, ...]], str, str]] = MappingProxyType(
    {
        "proxy_denied_cidrs": ("--proxy-denied-cidr", parse_cidrs, "203.0.113.0/24 or 2001:db8:8000::/40", EGRESS_PAGE),
        "api_server_cidrs": ("--api-server-cidr", parse_cidrs, "192.0.2.10/32 or 2001:db8::10/128", EGRESS_PAGE),
        "dns_peers": ("--dns-peer", parse_dns_peers, "cluster or 10.96.0.10/32", EGRESS_PAGE),
        "monitoring_labels": ("--monitoring-label", parse_selection, "release=kube-prometheus-stack", PAGE),
    }
)
"""By field of the wishes: the option, how it is read, examples, and the page about it."""


class Monitoring(StrEnum):
    """Whether objects of the Prometheus and Grafana operators are installed."""

    AUTO = "auto"
    """Those whose types the cluster serves; none when no cluster is asked."""
    WITH = "with"
    WITHOUT = "without"


@dataclass(frozen=True, slots=True)
class InstallWishes:
    """The command line as it was given."""

    controller_image: str | None = None
    worker_image: str | None = None
    proxy_image: str | None = None
    release_file: Path | None = None
    allow_floating_tags: bool = False
    tenant_namespaces: TenantNamespaces | None = None
    replicas: int | None = None
    log_level: str | None = None
    proxy_exceptions: tuple[str, ...] | None = None
    proxy_denied_cidrs: tuple[str, ...] | None = None
    api_server_cidrs: tuple[str, ...] | None = None
    dns_peers: tuple[str, ...] | None = None
    """None leaves these, and the workers' and proxies' images, as the cluster has them."""
    monitoring: Monitoring = Monitoring.AUTO
    runbook_url: str | None = None
    grafana_url: str | None = None
    monitoring_labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """What to install; what was not named is this release's own until `keeping` says what the cluster has."""

    images: Images
    tenant_namespaces: TenantNamespaces
    replicas: int
    log_level: str
    proxy_exceptions: tuple[EgressException, ...]
    proxy_denied_cidrs: tuple[str, ...]
    api_server_cidrs: tuple[str, ...]
    dns_peers: tuple[str, ...]
    monitoring: Monitoring
    runbook_url: str = ""
    """Where notifications and boards find the runbook; empty for paths in the project."""
    grafana_url: str = ""
    monitoring_labels: tuple[str, ...] = ()
    """By which Prometheus selects monitors and rules, as KEY=VALUE."""
    unnamed: frozenset[str] = frozenset()
    """Fields of `InstalledSettings` that nobody named."""
    allow_floating_tags: bool = False

    def keeping(self, settings: InstalledSettings) -> "InstallRequest":
        """The request with what the cluster has in place of what was not named; raises Refused if that is unusable."""
        kept = {name: value for name in self.unnamed if (value := getattr(settings, name)) is not None}
        kept |= {name: _list(name, (kept[name],)) for name in _LISTS if name in kept}
        images = Images(
            controller=self.images.controller,
            worker=kept.pop("worker_image", self.images.worker),
            proxy=kept.pop("proxy_image", self.images.proxy),
        )
        request = replace(self, images=images, unnamed=frozenset(), **kept)
        request.check_images()
        return request

    def check_images(self) -> None:
        """Raises Refused for an image that has no digest, what nobody named included."""
        images = self.images
        for option, reference in zip(_IMAGE_OPTIONS, (images.controller, images.worker, images.proxy), strict=True):
            _check_image(option, reference, allow_floating_tags=self.allow_floating_tags)


def check_wishes(wishes: InstallWishes) -> InstallRequest:
    """The request; raises Refused that names option, field and next step."""
    images, unnamed = _images(wishes)
    settings = ("tenant_namespaces", "replicas", "log_level", "proxy_exceptions", *_LISTS, *_LINKS)
    return InstallRequest(
        images=images,
        tenant_namespaces=wishes.tenant_namespaces or DEFAULTS.tenant_namespaces,
        replicas=DEFAULTS.replicas if wishes.replicas is None else wishes.replicas,
        log_level=wishes.log_level or DEFAULTS.log_level,
        proxy_exceptions=_exceptions(wishes.proxy_exceptions or ()),
        **{name: _list(name, getattr(wishes, name) or ()) for name in _LISTS},
        monitoring=wishes.monitoring,
        runbook_url=wishes.runbook_url or "",
        grafana_url=wishes.grafana_url or "",
        unnamed=frozenset(unnamed | {name for name in settings if getattr(wishes, name) is None}),
        allow_floating_tags=wishes.allow_floating_tags,
    )


def _images(wishes: InstallWishes) -> tuple[Images, set[str]]:
    """The images, and those of `InstalledSettings` that nobody named; raises Refused for one that was."""
    named = _named_images(wishes)
    for option, reference in zip(_IMAGE_OPTIONS, named.values(), strict=True):
        if reference is not None:
            _check_image(option, reference, allow_floating_tags=wishes.allow_floating_tags)
    images = Images(**{name: reference for name, reference in named.items() if reference is not None})
    return images, {f"{name}_image" for name, reference in named.items() if reference is None}


def _named_images(wishes: InstallWishes) -> dict[str, str | None]:
    """By field of `Images`: options before the release file, None for what neither names."""
    if wishes.release_file is None:
        if wishes.controller_image is None:
            raise Refused("no image of the manager was named, and this project publishes none", BUILD_STEP)
        named = {"controller": wishes.controller_image}
    elif wishes.controller_image is not None:
        raise Refused("--release and --controller-image both name the manager's image", "Name one of them.")
    else:
        named = _read_release(wishes.release_file).images.model_dump(exclude_unset=True)
    return {
        "controller": named["controller"],
        "worker": wishes.worker_image or named.get("worker"),
        "proxy": wishes.proxy_image or named.get("proxy"),
    }


def _exceptions(texts: tuple[str, ...]) -> tuple[EgressException, ...]:
    form = "ghes.example.com=10.20.0.0/24:443, an IPv6 range in brackets"
    return _parsed("--proxy-exception", parse_egress_exceptions, texts, form, EGRESS_PAGE)


def _list(name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    option, parse, form, page = _LISTS[name]
    return _parsed(option, parse, texts, form, page)


def _parsed(option: str, parse: Callable[[str], T], texts: tuple[str, ...], form: str, page: str) -> T:
    """What a repeated option says; raises Refused."""
    try:
        return parse(",".join(texts))
    except ValueError as problem:
        raise Refused(f"{option}: {problem}", f"Write it as in {form} ({page}).") from None


def _read_release(path: Path) -> Release:
    try:
        release = parse_release(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise Refused(f"the release file {path} cannot be read: {problem.strerror}", "Name a readable file.") from None
    except (ReleaseInvalid, UnicodeDecodeError) as problem:
        what = str(problem) if isinstance(problem, ReleaseInvalid) else "it is no text"
        raise Refused(
            f"the release file {path} cannot be used: {what}", f"{PAGE} shows what a release file holds."
        ) from problem
    if release.version != __version__:
        raise Refused(
            f"the release file {path} is of version {release.version}, and this gw is {__version__}",
            f"Manifests and images belong together: install with gw {release.version}.",
        )
    return release


def _check_image(option: str, reference: str, *, allow_floating_tags: bool) -> None:
    try:
        check_reference(reference)
    except ReleaseInvalid as problem:
        raise Refused(f"{option}: {problem}", "Write it as REGISTRY/REPOSITORY@sha256:… with 64 hex digits.") from None
    if not allow_floating_tags and not is_pinned(reference):
        raise Refused(
            f"the image {reference} has no digest, so what runs could change without anybody's doing",
            _DIGEST_STEP.format(option=option),
        )
