"""Which images an installation runs, and the release file that names them.

A release file is YAML, written by whoever built and pushed the images:

    version: 0.1.0
    images:
      controller: registry.example.com/actions-gateway/controller@sha256:<64 hex digits>
      worker: registry.example.com/mirror/actions-runner@sha256:<64 hex digits>
      proxy: registry.example.com/mirror/envoy@sha256:<64 hex digits>

`version` is that of the code in the images, and of the `gw` that installs them: manifests and images belong together.
`worker` is optional: the runner image that this release is made for has a digest. Envoy's has none, so `proxy` may be
left out only where an installation has it already.
"""

import re

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.runnergroup import RUNNER_IMAGE

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
"""The grammar of image references (github.com/distribution/reference), with sha256 as the only digest."""


class ReleaseInvalid(ValueError):
    """A reference or a release file cannot be used; the text names the field and never ends with a full stop."""


class Images(BaseModel):
    """The images that the manager is given; the part `images` of a release file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    controller: str
    """Manager, agent and the worker's wrapper."""
    worker: str = RUNNER_IMAGE
    """What workers run unless their template names another one."""
    proxy: str = PROXY_IMAGE
    """Envoy, which tenants' proxies run."""


class Release(BaseModel):
    """A release file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*[A-Za-z0-9.+-]*$")
    images: Images


def parse_release(text: str) -> Release:
    """The release; raises ReleaseInvalid that names the line or the field."""
    try:
        return Release.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        raise ReleaseInvalid(f"line {mark.line + 1} is no YAML" if mark else "it is no YAML") from problem
    except ValidationError as problem:
        error = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in error["loc"]) or "it"
        raise ReleaseInvalid(f"{where}: {error['msg'][:1].lower()}{error['msg'][1:]}") from problem


def is_pinned(reference: str) -> bool:
    """Whether the reference names one image for good."""
    match = _REFERENCE.fullmatch(reference)
    return match is not None and match["digest"] is not None


def check_reference(reference: str) -> None:
    """Raises ReleaseInvalid for what no container runtime would take."""
    if not _REFERENCE.fullmatch(reference):
        raise ReleaseInvalid(f"{reference!r} is no image reference")
