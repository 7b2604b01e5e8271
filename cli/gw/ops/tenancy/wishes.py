"""What a tenant's gateway shall be, decided from what it is: a pure function of the options, or of a file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gw.errors import Refused
from gw.ops.onboarding.gatewayfile import GatewayFile, read_gateway_file
from gw.ops.onboarding.groups import parse_fields
from gw.ops.onboarding.manifests import CA_CONFIGMAP, CA_KEY
from gw.ops.onboarding.request import check_spec, checked_url
from gw.ops.tenancy.groups import Entry, changed_entry, entries_of, entry_named, with_entry
from gw.ops.tenants import ServedGateway

Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of `gw tenant update`, as they were typed; None and empty leave a field as it is."""

    gateway_file: Path | None = None
    """An ActionsGateway whose spec is wanted as it stands."""
    github_url: str | None = None
    runner_groups: Sequence[str] = ()
    """To add or to change, as `gw tenant add` has them."""
    removed_groups: Sequence[str] = ()
    allowed_hosts: Sequence[str] = ()
    removed_hosts: Sequence[str] = ()
    access_log: bool | None = None
    min_proxies: int | None = None
    max_proxies: int | None = None
    log_level: str | None = None
    security_profile: str | None = None
    ca_bundle_file: Path | None = None


def read_file(wishes: Wishes, namespace: str) -> GatewayFile | None:
    """The file, None when none was named; raises Refused, also when nothing or two things were asked for."""
    others = [getattr(wishes, name) for name in Wishes.__dataclass_fields__ if name != "gateway_file"]
    is_flagged = any(value is not None and value != () and value != [] for value in others)
    if wishes.gateway_file is None:
        if not is_flagged:
            raise Refused("nothing to change was named", "Give an option, or --file FILE; `--help` shows the options.")
        return None
    if is_flagged:
        raise Refused("a file and other options were given", "Give --file alone: its spec is wanted as it stands.")
    file = read_gateway_file(wishes.gateway_file)
    if file.namespace not in (None, namespace):
        raise Refused(
            f"{wishes.gateway_file} is meant for the namespace {file.namespace}, not for {namespace}",
            "Name the tenant as in the file, or take metadata.namespace out of it.",
        )
    return file


def decide_spec(wishes: Wishes, file: GatewayFile | None, served: ServedGateway) -> Spec:
    """The wanted spec, valid by the rules of the definition; raises Refused that names the field."""
    live = dict(served.live.get("spec") or {})
    spec = _by_file(file, live, served) if file is not None else _by_options(wishes, live, served)
    check_spec(served.fact.name, spec)
    return spec


def patch_to(live: Any, wanted: Any) -> Any:
    """The merge patch (RFC 7396) that makes `wanted` of `live`: only what differs, null for what goes."""
    if not isinstance(live, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    patch = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        if key not in live:
            patch[key] = value
        elif live[key] != value:
            patch[key] = patch_to(live[key], value)
    return patch


def _by_file(file: GatewayFile, live: Spec, served: ServedGateway) -> Spec:
    if file.name not in (None, served.fact.name):
        raise Refused(
            f"the file is about the gateway {file.name}, and that of {served.fact.namespace} is {served.fact.name}",
            "A gateway keeps its name: correct metadata.name, or name another file.",
        )
    secret = (file.spec.get("gitHubAppRef") or {}).get("name")
    if secret not in (None, served.fact.secret_name):
        raise Refused(
            f"the file refers to the App Secret {secret} and the gateway to {served.fact.secret_name}",
            f"Change the key with `gw key rotate {served.fact.namespace}`, which proves it first; here, leave "
            "spec.gitHubAppRef as it is.",
        )
    return _keeping_pauses({**file.spec, "gitHubAppRef": live["gitHubAppRef"]}, live)


def _keeping_pauses(spec: Spec, live: Spec) -> Spec:
    """A file that does not speak of a pause neither begins nor ends one: who paused had a reason."""
    suspended = {entry["name"] for entry in live.get("runnerGroups") or [] if entry.get("suspended")}
    groups = [
        {**entry, "suspended": True} if entry.get("name") in suspended and "suspended" not in entry else entry
        for entry in spec.get("runnerGroups") or []
    ]
    kept = {**spec, **({"runnerGroups": groups} if groups else {})}
    return {**kept, "paused": True} if live.get("paused") and "paused" not in spec else kept


def _by_options(wishes: Wishes, live: Spec, served: ServedGateway) -> Spec:
    spec = dict(live)
    if wishes.github_url is not None:
        spec["gitHubURL"] = checked_url(wishes.github_url)
    if wishes.runner_groups or wishes.removed_groups:
        spec["runnerGroups"] = _groups(wishes, served)
    proxy = dict(live.get("proxy") or {}) | dict(_proxy(wishes, live.get("proxy") or {}))
    if proxy:
        spec["proxy"] = proxy
    if wishes.log_level is not None:
        spec["logLevel"] = wishes.log_level
    if wishes.security_profile is not None:
        spec["securityProfile"] = wishes.security_profile
    if wishes.ca_bundle_file is not None and not live.get("caBundleRef"):
        spec["caBundleRef"] = {"name": CA_CONFIGMAP, "key": CA_KEY}
    return spec


def _groups(wishes: Wishes, served: ServedGateway) -> list[Entry]:
    entries, names = entries_of(served), {str(entry["name"]) for entry in entries_of(served)}
    removed = {str(entry_named(served, name)["name"]) for name in wishes.removed_groups}
    for text in wishes.runner_groups:
        fields = parse_fields(text)
        name = fields["name"]
        if name in removed:
            raise Refused(f"runner group {name} was named to be changed and to be removed", "Name it once.")
        stored = entry_named(served, name) if name in names else {"name": name}
        entries = with_entry(entries, changed_entry(stored, fields))
    kept = [entry for entry in entries if entry["name"] not in removed]
    if not kept:
        raise Refused(
            "no runner group would be left, so no job could run here",
            f"To stop all of them: `gw tenant pause {served.fact.namespace}`; to end the tenant: `gw tenant remove`.",
        )
    return kept


def _proxy(wishes: Wishes, live: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    replicas = (("minReplicas", wishes.min_proxies), ("maxReplicas", wishes.max_proxies))
    yield from ((key, value) for key, value in replicas if value is not None)
    if wishes.access_log is not None:
        yield "accessLog", wishes.access_log
    hosts = list(live.get("allowedHosts") or [])
    for host in wishes.removed_hosts:
        if host not in hosts:
            there = f"They are: {', '.join(hosts)}." if hosts else "There is none beside GitHub's own."
            raise Refused(f"{host} is no allowed host of this tenant", there)
    wanted = [host for host in hosts if host not in wishes.removed_hosts]
    wanted += [host for host in dict.fromkeys(wishes.allowed_hosts) if host not in wanted]
    if wanted != hosts:
        yield "allowedHosts", wanted
