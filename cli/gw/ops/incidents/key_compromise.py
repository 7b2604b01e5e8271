"""The runbook's "GitHub App Key Compromise", in the order that GitHub and this project allow.

The runbook revokes the key first. GitHub deletes no App's only key, so a new one has to be made before (GitHub docs,
"Managing private keys for GitHub Apps", "Deleting private keys"); and a revoked key does not end the tokens that it
minted. So the gateways are contained and the installations suspended first, which needs neither.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from gw.errors import Refused
from gw.ops.incidents.containment import contain, release
from gw.ops.incidents.engine import Outcome, Proof, Step, Task, Truth
from gw.ops.incidents.site import Site
from gw.ops.incidents.suspension import TOKEN_LIFETIME, installations, lift, owner_of, suspend
from gw.ops.incidents.switching import await_sessions, delete_old, switch
from gw.ops.incidents.targets import CompromisedApp, compromised_keys
from gw.sources.facts import Known, Missing
from gw.sources.gathering import read_fact
from gw.sources.incidents import Incident, IncidentKind, StepRecord, StepState, incident_name
from gw.sources.installation import InstallationQuery
from gw.sources.secrets import StoredSecret, read_secret

_SHOWN = 5
_TITLES = (
    ("find", "Find every gateway of the App", "names the gateways whose status says that they use the App"),
    ("contain", "Contain them", "annotates each gateway, and waits until no agent runs and no traffic passes"),
    ("suspend", "Suspend the App's installations", "has GitHub refuse every token of the App, stolen ones included"),
    ("new-key", "Make a new private key", "waits for the new key's file, and proves it at GitHub"),
    ("revoke", "Revoke the compromised key", "waits until GitHub accepts the old key no longer"),
    ("rotate", "Put the new key into every gateway", "makes a Secret for each, and has the gateway refer to it"),
    ("lift", "Lift the suspension", "lets the App in again, before the agents need it"),
    ("release", "Release the gateways", "takes the annotation away, so that agents start with the new key"),
    (
        "verify",
        "See sessions with the new key",
        "waits until each group has a session, and the status names the new key",
    ),
    ("delete-old", "Delete the old Secrets", "deletes the Secrets with the old key, by name"),
    ("scope", "Assess what the key was used for", "shows what the key could do, and where GitHub's audit log tells it"),
)


def new_incident(
    app: CompromisedApp,
    *,
    opened_at: datetime,
    opened_by: str,
    exposed_since: datetime,
) -> Incident:
    """The incident before anything is done."""
    return Incident(
        kind=IncidentKind.KEY_COMPROMISE,
        subject=app.subject,
        opened_at=opened_at,
        opened_by=opened_by,
        steps=tuple(StepRecord(step_id, title) for step_id, title, _ in _TITLES),
        targets=app.targets,
        facts={
            "appId": app.app_id,
            "permissions": ", ".join(app.permissions),
            "exposedSince": exposed_since.isoformat(),
            "unsure": ", ".join(app.unsure),
            "compromised": " ".join(sorted(app.keys)),
        },
        name=incident_name(IncidentKind.KEY_COMPROMISE, opened_at, app.subject),
    )


def steps_of(site: Site) -> tuple[Step, ...]:
    """The procedure."""
    acts = {
        "find": lambda: _find(site),
        "contain": lambda: contain(site),
        "suspend": lambda: suspend(site),
        "new-key": lambda: _new_key(site),
        "revoke": lambda: _revoke(site),
        "rotate": lambda: switch(site),
        "lift": lambda: lift(site),
        "release": lambda: release(site),
        "verify": lambda: await_sessions(site),
        "delete-old": lambda: delete_old(site),
        "scope": lambda: _scope(site),
    }
    return tuple(Step(step_id, title, will, acts[step_id]) for step_id, title, will in _TITLES)


def refuse_old_key(incident: Incident, query: InstallationQuery) -> None:
    """Raises Refused for a file with a compromised key, or with another new key than the procedure has used so far."""
    fingerprint = query.credentials.key_fingerprint
    if fingerprint in compromised_keys(incident):
        raise Refused(
            f"the file of --private-key-file holds the compromised key {fingerprint}",
            "Name the file of the new key; gw never goes back to this one.",
        )
    known = incident.facts.get("keyFingerprint")
    if known and known != fingerprint:
        raise Refused(
            f"the file of --private-key-file holds the key {fingerprint}, and {incident.name} goes on with {known}",
            "Name the file of that key.",
        )


async def _find(site: Site) -> Outcome:
    targets = site.incident.targets
    unsure = site.incident.facts.get("unsure", "")
    lines = [f"{each}: installation {each.installation_id}, key {each.key_fingerprint}" for each in targets]
    words = f"{len(targets)} found by their status"
    if unsure:
        words += f"; not touched, since their status does not say their App: {unsure}"
    return Outcome(words, tuple(lines[:_SHOWN]))


async def _new_key(site: Site) -> Outcome | Task:
    if site.new_key is None:
        return Task(
            (
                f"Make a new private key of the App {_app(site)}, and download it:",
                "  Settings > Developer settings > GitHub Apps > the App > Edit > Private keys > Generate.",
                "Keep the old one until the next step: GitHub deletes no App's only key.",
            ),
            option="--private-key-file FILE",
        )
    slug, fingerprint = "", ""
    for target in installations(site.incident.targets):
        query = site.needed_query(target)
        refuse_old_key(site.incident, query)
        found = await site.github.look(query)
        slug, fingerprint = found.app_slug, query.credentials.key_fingerprint
    facts = {"keyFingerprint": fingerprint, "appSlug": slug}
    suspended = await _suspension(site)
    if isinstance(suspended, Task):
        return replace(suspended, facts=facts)
    words = f"GitHub accepts the new key {fingerprint}" + (f" of {slug}" if slug else "")
    return Outcome(words, (suspended.words,) if suspended else (), facts)


async def _suspension(site: Site) -> Outcome | Task | None:
    """What a person said of the suspension is proven by the new key; an installation that is open is suspended now."""
    return await suspend(site) if site.incident.step("suspend").state is StepState.DONE else None


async def _revoke(site: Site) -> Outcome | Task:
    proof = await _proof_of_revocation(site)
    if proof.truth is Truth.PROVEN:
        return Outcome(proof.words)
    keys = sorted(compromised_keys(site.incident))
    return Task(
        (
            f"Revoke the compromised key of the App {_app(site)}:",
            "  Settings > Developer settings > GitHub Apps > the App > Edit > Private keys > Delete.",
            *(f"  It is the one with the fingerprint {key}." for key in keys),
        ),
        lambda: _proof_of_revocation(site),
    )


async def _proof_of_revocation(site: Site) -> Proof:
    """By the old keys themselves, as far as the caller may read their Secrets."""
    keys = sorted(compromised_keys(site.incident))
    left = set(keys)
    reasons = list[str]()
    for target in site.incident.targets:
        if target.key_fingerprint not in left:
            continue
        stored = await read_fact(
            f"read the Secret {target.secret} of {target.namespace}",
            lambda at=target: read_secret(site.cluster, at.namespace, at.secret),  # type: ignore[misc]
        )
        query = _old_query(site, target.github_url, target.key_fingerprint, stored)
        if query is None:
            reasons.append(stored.reason if isinstance(stored, Missing) else f"{target} has the old key no longer")
            continue
        if await site.github.accepts(query):
            return Proof(Truth.DISPROVEN, f"GitHub still accepts the key {target.key_fingerprint}")
        left.discard(target.key_fingerprint)
    if left:
        return Proof(Truth.UNPROVEN, reasons[0] if reasons else "no gateway's status names its fingerprint")
    if not keys:
        return Proof(Truth.UNPROVEN, "no gateway's status names its fingerprint")
    return Proof(Truth.PROVEN, f"GitHub no longer accepts the key {', '.join(keys)}")


def _old_query(
    site: Site, github_url: str, fingerprint: str, stored: Known[StoredSecret | None] | Missing
) -> InstallationQuery | None:
    """By the Secret that still holds the old key; None for every other one."""
    secret = stored.value if isinstance(stored, Known) else None
    if secret is None or secret.credentials is None or secret.credentials.key_fingerprint != fingerprint:
        return None
    return InstallationQuery(github_url, secret.credentials, site.ca_bundle)


async def _scope(site: Site) -> Outcome | Task:
    return Task(tuple(scope_lines(site.incident)))


def scope_lines(incident: Incident) -> Sequence[str]:
    """What the key could do, and where to look for what it did (GitHub docs, "Searching the audit log")."""
    slug = incident.facts.get("appSlug") or "APP-SLUG"
    since = incident.facts.get("exposedSince", "")[:19]
    until = incident.step("revoke").at
    end = (until + TOKEN_LIFETIME) if until else None
    query = f"actor:{slug}[bot] created:{since}Z.." + (f"{end:%Y-%m-%dT%H:%M:%SZ}" if end else "*")
    lines = [
        f"With the key anybody could mint tokens that grant: {incident.facts.get('permissions') or 'unknown'}.",
        "They open every repository that the installations cover, for up to an hour after the revocation.",
        f"Look in the audit log of each organization for: {query}",
    ]
    for base, owner in dict.fromkeys(owner_of(target) for target in incident.targets):
        lines.append(f"  {base}/organizations/{owner}/settings/audit-log?q={quote(query)}")
        lines.append(f"  gh api --paginate '/orgs/{owner}/audit-log?phrase={quote(query)}&include=all'")
    lines.append("What an App only reads is no event there: GitHub Enterprise alone can stream API requests.")
    lines.append("Look for runners that no gateway registered, too: Settings > Actions > Runners.")
    return lines


def _app(site: Site) -> str:
    return site.incident.facts.get("appId", "")
