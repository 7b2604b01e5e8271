"""Puts a new key into every gateway of an App while they are contained, and takes the old one's Secret away.

Nothing goes back to the old key here, whatever fails: `gw key rotate` follows a rollout and returns, which has no
meaning while no agent may run.
"""

from dataclasses import replace

from actions_gateway.kube import resources as r
from gw.checks.catalog import CATALOG
from gw.checks.engine import judge, needs_of, select
from gw.checks.model import Outcome as Found
from gw.checks.wording import counted
from gw.errors import NotConfirmed, Refused, TimedOut
from gw.ops.changes.carrying import Carried, carry_out
from gw.ops.changes.plan import Plan, Step, delete_step
from gw.ops.changes.rehearsal import refuse_lacking_rights
from gw.ops.incidents.containment import FIELD_MANAGER
from gw.ops.incidents.engine import Outcome, Proof, Task, Truth
from gw.ops.incidents.site import Site
from gw.ops.incidents.targets import compromised_keys
from gw.ops.keys.decide import choose_credentials, decide_rotation
from gw.ops.keys.order import RotateKey
from gw.ops.keys.rotate import VERIFIED_BY
from gw.ops.keys.snapshot import gather_snapshot
from gw.ops.verification import verify
from gw.sources.cluster import asking
from gw.sources.gathering import gather_facts, gather_gateways
from gw.sources.incidents import Target
from gw.sources.ownership import gitops_owner
from gw.sources.rights import Right
from gw.sources.secrets import StoredSecret, read_secret

_LOOK_SECONDS = 0.5
_SHOWN = 5
_REFRESH = "credential.refresh"


async def switch(site: Site) -> Outcome | Task:
    """Every gateway refers to a Secret with the new key; raises GwError."""
    await refuse_lacking_rights(site.cluster, _rights(site))
    switched, for_git, failed = list[str](), list[str](), list[tuple[str, Refused]]()
    for namespace in await _served(site):
        try:
            line, owner = await _switch(site, namespace)
        except NotConfirmed:
            raise
        except Refused as problem:
            # One tenant must not keep the others on a key in wrong hands.
            failed.append((namespace, problem))
            continue
        switched.append(line)
        if owner:
            for_git.append(owner)
    if failed:
        lines = [f"{namespace}: {problem.what}" for namespace, problem in failed]
        step = f"{failed[0][1].next_step} The same step goes on from there."
        raise Refused(f"{counted(len(failed), 'tenant')} has no new key yet ({lines[0]})", step, details=tuple(lines))
    if for_git:
        return Task((*for_git, "Wait until that is applied."), lambda: _proof_of_references(site))
    return Outcome(f"the new key is in {counted(len(switched), 'tenant')}", tuple(switched[:_SHOWN]))


async def _served(site: Site) -> list[str]:
    """The namespaces whose gateway is still there, and not on its way out."""
    with asking("read the gateways"):
        now = await gather_gateways(site.cluster, _where(site))
    there = {(each.namespace, each.name) for each in now if each.deleted_at is None}
    return sorted({each.namespace for each in site.incident.targets if (each.namespace, each.gateway) in there})


async def _switch(site: Site, namespace: str) -> tuple[str, str]:
    """What was done in one namespace, and what is left for its repository; raises GwError."""
    snapshot = await gather_snapshot(site.cluster, namespace)
    order = _order(site, namespace)
    credentials = choose_credentials(order, snapshot)
    used = snapshot.in_use.identity if snapshot.in_use else None
    if used is not None and used.key_fingerprint == credentials.key_fingerprint:
        return f"{namespace}: {snapshot.gateway.secret_name} has the new key already", ""
    rotation = decide_rotation(order, snapshot, credentials)
    plan = Plan(namespace, (rotation.secret_step, rotation.reference_step), rotation.consequences)
    carried = await _write(site, plan)
    line = f"{namespace}: {rotation.secret} in place of {rotation.replaced}"
    if not carried.kept_by:
        return line, ""
    # Whoever keeps the gateway needs the Secret there first, and no repository holds it.
    await _write(site, replace(plan, steps=plan.steps[:1]))
    owner = f"{namespace}: set spec.gitHubAppRef.name to {rotation.secret}, in the repository of {carried.kept_by[0]}."
    return line, owner


def _rights(site: Site) -> list[Right]:
    """Of every tenant, so that whoever lacks one hears it before any key is changed."""
    return [
        right
        for namespace in _namespaces(site)
        for right in (
            Right("get", r.SECRETS, namespace),
            Right("create", r.SECRETS, namespace),
            Right("patch", r.ACTIONSGATEWAYS, namespace),
        )
    ]


def _order(site: Site, namespace: str) -> RotateKey:
    """Never back to the old key; proven at GitHub by an earlier step, since a suspended installation mints no token."""
    target = next(each for each in site.incident.targets if each.namespace == namespace)
    site.needed_query(target)
    assert site.new_key is not None
    return RotateKey(
        namespace,
        site.new_key,
        site.timeout_seconds,
        site.manner,
        app_id=target.app_id,
        installation_id=target.installation_id,
        compromised=True,
        source="the file of --private-key-file",
    )


async def _write(site: Site, plan: Plan) -> Carried:
    return await carry_out(
        site.cluster,
        plan,
        site.manner,
        conversation=site.conversation,
        field_manager=FIELD_MANAGER,
        question="Write this?",
    )


async def _proof_of_references(site: Site) -> Proof:
    old = await _on_old_secret(site)
    words = f"{', '.join(old)} still refers to the old Secret" if old else "every gateway refers to the new key"
    return Proof(Truth.DISPROVEN if old else Truth.PROVEN, words)


async def _on_old_secret(site: Site) -> list[str]:
    with asking("read the gateways"):
        now = await gather_gateways(site.cluster, _where(site))
    old = {(target.namespace, target.gateway, target.secret) for target in site.incident.targets}
    return [f"{each.namespace}/{each.name}" for each in now if (each.namespace, each.name, each.secret_name) in old]


async def await_sessions(site: Site) -> Outcome:
    """Every gateway has sessions again, with the new key; raises TimedOut that names the first that has not."""
    query = next((found for target in site.incident.targets if (found := site.query(target))), None)
    wanted = query.credentials.key_fingerprint if query else site.incident.facts.get("keyFingerprint", "")
    deadline = site.clock.monotonic() + site.timeout_seconds
    while late := await _without_key(site, wanted):
        if site.clock.monotonic() >= deadline:
            raise TimedOut(
                f"after {site.timeout_seconds:.0f} s the agent of {late[0]} does not say that it uses the new key",
                f"See `gw health {late[0].partition('/')[0]}`.",
                details=tuple(late[:_SHOWN]),
            )
        site.conversation.waiting(f"the agent of {late[0]} takes up the new key")
        await site.clock.sleep(_LOOK_SECONDS)
    unproven = [*await _refresh_errors(site)]
    for namespace in _namespaces(site):
        verified = await verify(
            site.cluster,
            VERIFIED_BY,
            namespace=namespace,
            timeout_seconds=site.timeout_seconds,
            clock=site.clock,
            listener=site.conversation,
            takes_due=False,
        )
        unproven += [f"not seen: {line}" for line in verified.unproven]
    count = counted(len(site.incident.targets), "gateway")
    return Outcome(f"sessions are open again at {count}, with the key {wanted}", tuple(unproven[:_SHOWN]))


async def _refresh_errors(site: Site) -> list[str]:
    """What the checks say of token refreshes; errors of before are in the series for an hour, so they stop nothing."""
    checks = select(CATALOG, [_REFRESH])
    facts = await gather_facts(site.cluster, _where(site), needs_of(checks), site.clock, site.sources)
    mine = set(_namespaces(site))
    return [
        f"{_REFRESH}: {finding.subject}{': ' if finding.subject else ''}{finding.summary}"
        for result in judge(checks, facts, named=[_REFRESH])
        for finding in result.findings
        if finding.outcome in (Found.PROBLEM, Found.UNKNOWN) and finding.subject.partition("/")[0] in mine | {""}
    ]


async def _without_key(site: Site, fingerprint: str) -> list[str]:
    wanted = {(target.namespace, target.gateway) for target in site.incident.targets}
    with asking("read the gateways"):
        now = await gather_gateways(site.cluster, _where(site))
    return [
        f"{each.namespace}/{each.name}"
        for each in now
        if (each.namespace, each.name) in wanted
        and not (each.credential and each.credential.key_fingerprint == fingerprint and not each.contained)
    ]


async def delete_old(site: Site) -> Outcome | Task:
    """The Secrets with the old key are gone, unless a gateway refers to one; raises GwError."""
    steps, kept, for_git = list[Step](), list[str](), list[str]()
    now = await _referred(site)
    for target, stored in await _with_old_key(site):
        place = f"{target.namespace}/{target.secret}"
        if (target.namespace, target.secret) in now:
            kept.append(f"{place} stays: the gateway refers to it")
        elif owner := gitops_owner(stored.manifest):
            for_git.append(f"{place}: delete it in the repository of {owner}.")
        else:
            steps.append(delete_step(stored.manifest, f"the old key {target.key_fingerprint}"))
    app_id = site.incident.facts.get("appId", "")
    await carry_out(
        site.cluster,
        Plan(site.incident.subject, tuple(steps), ("Nobody can return to the old key",)),
        site.manner,
        conversation=site.conversation,
        field_manager=FIELD_MANAGER,
        question=f"Delete {counted(len(steps), 'Secret')} of the App {app_id}?",
        destroys=app_id,
    )
    if for_git:
        lines = ("Secrets with the old key are kept by GitOps:", *for_git[:_SHOWN])
        return Task(lines, lambda: _proof_of_deletion(site))
    gone = tuple(f"Secret {step.namespace}/{step.name} deleted" for step in steps)
    return Outcome(f"{counted(len(steps), 'Secret')} with the old key deleted", (*kept, *gone)[:_SHOWN])


async def _with_old_key(site: Site) -> list[tuple[Target, StoredSecret]]:
    """The Secrets that the incident found and that still hold a key in wrong hands, or none that can be read."""
    found, keys = list[tuple[Target, StoredSecret]](), compromised_keys(site.incident)
    for target in site.incident.targets:
        with asking(f"read the Secret {target.secret} of {target.namespace}"):
            stored = await read_secret(site.cluster, target.namespace, target.secret)
        if stored is None or (keys and target.key_fingerprint and target.key_fingerprint not in keys):
            continue
        if stored.identity is None or stored.identity.key_fingerprint == target.key_fingerprint:
            found.append((target, stored))
    return found


async def _proof_of_deletion(site: Site) -> Proof:
    now = await _referred(site)
    left = [
        f"{target.namespace}/{target.secret}"
        for target, _ in await _with_old_key(site)
        if (target.namespace, target.secret) not in now
    ]
    words = f"{', '.join(left[:_SHOWN])} is still there" if left else "no Secret with the old key is left"
    return Proof(Truth.DISPROVEN if left else Truth.PROVEN, words)


async def _referred(site: Site) -> set[tuple[str, str]]:
    with asking("read the gateways"):
        return {(each.namespace, each.secret_name) for each in await gather_gateways(site.cluster, _where(site))}


def _namespaces(site: Site) -> list[str]:
    return sorted({target.namespace for target in site.incident.targets})


def _where(site: Site) -> str | None:
    namespaces = _namespaces(site)
    return namespaces[0] if len(namespaces) == 1 else None
