"""What a new tenant shall be, checked as far as it can be without asking anybody."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.api.quantities import parse_quantity
from actions_gateway.github.app import AppCredentials
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import scope_of
from gw.errors import Refused
from gw.ops.keys.credentials import check_credentials
from gw.ops.namespaces import check_tenant_name
from gw.ops.onboarding.gatewayfile import read_gateway_file
from gw.ops.onboarding.groups import EXAMPLE, check_group, first_error, parse_group
from gw.ops.priorityclasses import classes_of
from gw.sources.github import read_key

_PLACEHOLDER = "to-be-decided"


@dataclass(frozen=True, slots=True)
class TenantWishes:
    """The options of `gw tenant add`, as they were typed."""

    namespace: str
    app_id: str
    installation_id: str
    private_key_file: Path | None
    github_url: str | None = None
    gateway_name: str | None = None
    ca_bundle_file: Path | None = None
    runner_groups: Sequence[str] = ()
    gateway_file: Path | None = None
    quota: Sequence[str] = ()
    use_existing_namespace: bool = False


@dataclass(frozen=True, slots=True)
class TenantRequest:
    """A checked request. The key is masked wherever it might be shown."""

    namespace: str
    gateway_name: str
    github_url: str
    spec: Mapping[str, Any]
    """The gateway's spec without its references to Secret and ConfigMap."""
    app_id: str
    installation_id: str
    credentials: AppCredentials | None
    """None without a key file, which only an export does without."""
    private_key: Secret = field(repr=False)
    private_key_file: Path | None = None
    ca_pem: str | None = None
    ca_bundle_file: Path | None = None
    quota: Mapping[str, str] = field(default_factory=dict)
    use_existing_namespace: bool = False

    @property
    def priority_classes(self) -> tuple[str, ...]:
        """The classes that the groups' tiers name, each once."""
        return classes_of(self.spec.get("runnerGroups") or [])


def check_wishes(wishes: TenantWishes) -> TenantRequest:
    """The request; raises Refused or CredentialsRejected that names the option."""
    check_tenant_name(wishes.namespace)
    file = read_gateway_file(wishes.gateway_file) if wishes.gateway_file else None
    if file is not None and file.namespace not in (None, wishes.namespace):
        raise Refused(
            f"{wishes.gateway_file} is meant for the namespace {file.namespace}, not for {wishes.namespace}",
            "Name the tenant as in the file, or take metadata.namespace out of it.",
        )
    name = wishes.gateway_name or (file.name if file else None) or wishes.namespace
    spec = dict(file.spec) if file else {}
    url = wishes.github_url or str(spec.get("gitHubURL") or "")
    spec |= {"gitHubURL": checked_url(url)}
    if wishes.runner_groups:
        spec["runnerGroups"] = [parse_group(text) for text in wishes.runner_groups]
    spec = {key: value for key, value in spec.items() if key not in ("gitHubAppRef", "caBundleRef")}
    check_spec(name, spec)
    key = read_key(wishes.private_key_file) if wishes.private_key_file is not None else Secret("")
    return TenantRequest(
        namespace=wishes.namespace,
        gateway_name=name,
        github_url=url,
        spec=spec,
        app_id=wishes.app_id,
        installation_id=wishes.installation_id,
        credentials=_credentials(wishes, key),
        private_key=key,
        private_key_file=wishes.private_key_file,
        ca_pem=read_ca_bundle(wishes.ca_bundle_file),
        ca_bundle_file=wishes.ca_bundle_file,
        quota=parse_quota(wishes.quota),
        use_existing_namespace=wishes.use_existing_namespace,
    )


def parse_quota(texts: Sequence[str]) -> dict[str, str]:
    """The hard limits of `pods=50,requests.cpu=100`, given once or often; raises Refused."""
    limits: dict[str, str] = {}
    for word in (word for text in texts for word in text.split(",") if word):
        name, equals, amount = word.partition("=")
        try:
            if not equals or parse_quantity(amount) < 0:
                raise ValueError(f"{word!r} is not RESOURCE=QUANTITY")
        except ValueError as problem:
            raise Refused(
                f"--quota: {problem}", "Write --quota pods=50,requests.cpu=100,limits.memory=64Gi."
            ) from problem
        limits[name] = amount
    return limits


def checked_url(url: str) -> str:
    """The URL as it stands; raises Refused that names the option."""
    if not url:
        raise Refused(
            "nobody said whose jobs to run", "Add --github-url https://github.com/ORGANIZATION, or a repository's URL."
        )
    try:
        scope_of(url)
    except ValueError as problem:
        raise Refused(f"--github-url: {problem}", "Copy the URL from the browser's address bar.") from problem
    return url


def check_spec(name: str, spec: Mapping[str, Any]) -> None:
    """The rules of the CRD and that a job could run here, before anything is asked or written."""
    if not spec.get("runnerGroups"):
        raise Refused("no runner group was named, so no job could run here", f"Add one. {EXAMPLE}")
    for group in spec.get("runnerGroups") or []:
        check_group(group)
    try:
        parse_gateway_spec(name, {**spec, "gitHubAppRef": {"name": _PLACEHOLDER}})
    except ValidationError as problem:
        raise Refused(f"the gateway's spec is not valid: {first_error(problem)}", "Correct that field.") from problem
    except ValueError as problem:
        raise Refused(f"the gateway's spec is not valid: {problem}", "Choose a shorter name.") from problem


def _credentials(wishes: TenantWishes, key: Secret) -> AppCredentials | None:
    if wishes.private_key_file is None:
        return None
    return check_credentials(
        app_id=wishes.app_id,
        installation_id=wishes.installation_id,
        private_key=key,
        source=f"the private key file {wishes.private_key_file}",
    )


def read_ca_bundle(path: Path | None) -> str | None:
    """The file's text, None without a file; raises Refused for one that holds no certificate."""
    if path is None:
        return None
    try:
        text = path.read_text("utf-8")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except OSError as problem:
        # ssl.SSLError is an OSError, too: a file that is read and holds no certificate ends here as well.
        reason = "holds no certificate" if isinstance(problem, ssl.SSLError) else "cannot be read"
        raise Refused(
            f"the CA bundle {path} {reason}", "Name a PEM file with the certificate authorities to trust."
        ) from problem
    except (ValueError, UnicodeDecodeError) as problem:
        raise Refused(f"the CA bundle {path} holds no certificate", "Name a PEM file.") from problem
    return text
