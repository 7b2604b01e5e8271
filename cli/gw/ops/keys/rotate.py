"""Rotates a tenant's key: prove the new one, write, follow the rollout, return when it does not come to work.

A run that ends anywhere is completed by the same command: the Secret that an earlier run made is known by its key, and
says which Secret it replaces.
"""

from dataclasses import dataclass, replace

from actions_gateway.engine.clock import Clock
from actions_gateway.github.app import AppCredentials
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected, GwError, TimedOut
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, delete_step
from gw.ops.changes.rehearsal import refuse_lacking_rights
from gw.ops.keys.authorities import trusted_authorities
from gw.ops.keys.credentials import LookUp, prove_key
from gw.ops.keys.decide import Rotation, choose_credentials, decide_rotation
from gw.ops.keys.following import Followed, Target, follow
from gw.ops.keys.order import FIELD_MANAGER, Outcome, RotatedKey, RotateKey
from gw.ops.keys.polling import until_polls_answered
from gw.ops.keys.returning import look_at_old_key, return_to_old, why_not_to_return
from gw.ops.keys.snapshot import Snapshot, gather_snapshot
from gw.ops.tenants import read_served
from gw.ops.verification import verify
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import DISCOVERED
from gw.sources.installation import InstallationQuery
from gw.sources.ownership import gitops_owner
from gw.sources.places import Sources
from gw.sources.rights import Right
from gw.sources.secrets import read_secret

VERIFIED_BY = ("agent.available", "credential.available", "session.open")
"""The checks that a tenant passes after its key was rotated."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What all steps of one rotation share."""

    cluster: Cluster
    order: RotateKey
    look_up: LookUp
    clock: Clock
    conversation: Conversation
    sources: Sources


async def rotate_key(
    cluster: Cluster,
    order: RotateKey,
    *,
    look_up: LookUp,
    clock: Clock,
    conversation: Conversation,
    sources: Sources = DISCOVERED,
) -> RotatedKey:
    """The rotated key, or how the gateway got back to the old one; raises GwError. `sources` tell of polls.

    Nothing is written before the caller's rights, GitHub, the server and the person agree.
    """
    await read_served(cluster, order.namespace)  # A tenant that does not exist is told before rights in it.
    await refuse_lacking_rights(cluster, _rights(order))
    snapshot = await gather_snapshot(cluster, order.namespace)
    credentials = choose_credentials(order, snapshot)
    rotation = decide_rotation(order, snapshot, credentials)
    async with trusted_authorities(cluster, snapshot.live, order.ca_bundle) as bundle:
        run = _Run(cluster, replace(order, ca_bundle=bundle), look_up, clock, conversation, sources)
        return await _rotate(run, snapshot, rotation, credentials)


async def _rotate(run: _Run, snapshot: Snapshot, rotation: Rotation, credentials: AppCredentials) -> RotatedKey:
    order, clock = run.order, run.clock
    url_from = f"spec.gitHubURL of the gateway {snapshot.gateway.name}"
    query = InstallationQuery(snapshot.gateway.github_url, credentials, order.ca_bundle, url_from)
    await prove_key(query, run.look_up, run.conversation)
    began = clock.monotonic()
    result = await _write(run, snapshot, rotation)
    if result.outcome is not Outcome.ROTATED:
        return result
    try:
        followed = await _follow(run, snapshot, rotation)
    except (TimedOut, CredentialsRejected) as failure:
        result = await _return(run, snapshot, rotation, result, failure)
    except GwError as problem:
        raise _standing(problem, rotation, "what became of it is not known") from problem
    else:
        result = await _verify(run, rotation, result, followed)
        if order.delete_old:
            result = await _delete_old(run, rotation, result)
    return replace(result, took_seconds=clock.monotonic() - began)


def _rights(order: RotateKey) -> list[Right]:
    verbs = ("get", "create", *(("delete",) if order.delete_old else ()))
    return [
        *(Right(verb, r.SECRETS, order.namespace) for verb in verbs),
        Right("patch", r.ACTIONSGATEWAYS, order.namespace),
    ]


async def _write(run: _Run, snapshot: Snapshot, rotation: Rotation) -> RotatedKey:
    """Secret and reference; of a gateway that GitOps keeps the Secret alone, and the reference is for git."""
    order, owner = run.order, None if rotation.is_resumed else gitops_owner(snapshot.live)
    steps = (rotation.secret_step,) if owner else (rotation.secret_step, rotation.reference_step)
    carried = await _carry(run, Plan(order.namespace, steps, rotation.consequences), "Rotate the key?", order.manner)
    outcome = Outcome.DRY_RUN if order.manner.dry_run else Outcome.LEFT_TO_GIT if owner else Outcome.ROTATED
    if owner:
        plan = replace(carried.plan, steps=(*carried.plan.steps, rotation.reference_step))
        carried = replace(carried, plan=plan, kept_by=(owner,))
    return RotatedKey(
        carried,
        outcome,
        rotation.key,
        rotation.secret,
        rotation.replaced,
        is_resumed=rotation.is_resumed,
        sharing=snapshot.sharing(await _old_fingerprint(run, snapshot, rotation)),
    )


async def _old_fingerprint(run: _Run, snapshot: Snapshot, rotation: Rotation) -> str:
    """Of the key that goes; empty where its Secret is gone and no status tells of it."""
    with asking(f"read the Secret {rotation.replaced}"):
        old = await read_secret(run.cluster, run.order.namespace, rotation.replaced)
    if old is not None and old.identity is not None:
        return old.identity.key_fingerprint
    told = snapshot.gateway.credential
    return told.key_fingerprint if told is not None and not rotation.is_resumed else ""


async def _carry(run: _Run, plan: Plan, question: str, manner: Manner) -> Carried:
    return await carry_out(
        run.cluster,
        plan,
        manner,
        conversation=run.conversation,
        field_manager=FIELD_MANAGER,
        question=question,
        destroys=run.order.namespace if run.order.delete_old else "",
    )


async def _follow(run: _Run, snapshot: Snapshot, rotation: Rotation) -> Followed:
    gateway, silent = snapshot.gateway, snapshot.silent_groups
    if rotation.is_resumed:
        # Which groups were silent before the first run is forgotten. Once the agent has the new key, no group's silence
        # is a reason to go back; the checks tell of it in the end.
        told = gateway.credential.key_fingerprint if gateway.credential and snapshot.works else ""
        is_known = told == rotation.key.key_fingerprint
        silent = frozenset(group.name for group in snapshot.groups) if is_known else frozenset()
    return await follow(
        run.cluster,
        Target(run.order.namespace, gateway.name, rotation.secret, rotation.key.key_fingerprint, silent),
        timeout_seconds=run.order.timeout_seconds,
        clock=run.clock,
        listener=run.conversation,
    )


async def _verify(run: _Run, rotation: Rotation, result: RotatedKey, followed: Followed) -> RotatedKey:
    order = run.order
    polls = await until_polls_answered(
        run.cluster,
        order.namespace,
        followed.listening,
        timeout_seconds=order.timeout_seconds,
        clock=run.clock,
        listener=run.conversation,
        sources=run.sources,
    )
    try:
        verified = await verify(
            run.cluster,
            VERIFIED_BY,
            namespace=order.namespace,
            timeout_seconds=order.timeout_seconds,
            clock=run.clock,
            listener=run.conversation,
        )
    except TimedOut as problem:
        # Not for want of a key: the agent has minted a token with it.
        raise _standing(problem, rotation, f"the agent works with its key, and {rotation.replaced} stays") from problem
    unproven = (*followed.unproven, *polls.unseen, *verified.unproven)
    is_proven = followed.is_tried and not polls.is_silent and not verified.unproven
    carried = result.carried.with_unproven(unproven)
    return replace(result, is_tried=followed.is_tried, is_proven=is_proven, carried=carried)


async def _delete_old(run: _Run, rotation: Rotation, result: RotatedKey) -> RotatedKey:
    order, carried = run.order, result.carried
    if not result.is_proven:
        left = f"that {rotation.replaced} may go: the new key is not proven to work, so it stays; run this again later"
        return replace(result, carried=carried.with_unproven((left,)))
    with asking(f"read the Secret {rotation.replaced}"):
        old = await read_secret(run.cluster, order.namespace, rotation.replaced)
    if old is None:
        return replace(result, is_old_deleted=True)
    plan = Plan(order.namespace, (delete_step(old.manifest, "the key that was replaced"),))
    # Whoever agreed to the rotation has agreed to this, by name.
    manner = Manner(yes=True, confirm=order.namespace) if carried.is_written else order.manner
    deleted = await _carry(run, plan, f"Delete the Secret {rotation.replaced}?", manner)
    if deleted.kept_by:
        left = f"that {rotation.replaced} is gone: {', '.join(deleted.kept_by)} keeps it; delete it in git"
        return replace(result, carried=carried.with_unproven((left,)))
    steps = (*carried.plan.steps, *deleted.plan.steps)
    carried = replace(carried, is_written=True, plan=replace(carried.plan, steps=steps))
    return replace(result, carried=carried, is_old_deleted=True)


async def _return(
    run: _Run, snapshot: Snapshot, rotation: Rotation, result: RotatedKey, failure: GwError
) -> RotatedKey:
    """The gateway on its old key again; raises the failure, with what stands, when that is no way."""
    cluster, order = run.cluster, run.order
    try:
        old = None if order.compromised else await look_at_old_key(cluster, order, snapshot, rotation, run.look_up)
        obstacle = await why_not_to_return(cluster, order, rotation, old)
        if old is not None and not obstacle:
            run.conversation.waiting(f"{failure.what}; the gateway returns to {rotation.replaced}")
            await return_to_old(cluster, order, snapshot, rotation, old, clock=run.clock, conversation=run.conversation)
    except GwError as second:
        second.details = (f"Before that: {failure.what}.", *second.details)
        raise _standing(second, rotation, "a return to the old key was under way") from failure
    if old is None or obstacle:
        raise _standing(failure, rotation, obstacle) from failure
    return replace(result, outcome=Outcome.RETURNED, cause=failure.what, timed_out=isinstance(failure, TimedOut))


def _standing(error: GwError, rotation: Rotation, words: str) -> GwError:
    """The same error, which says what stands."""
    error.details = (*error.details, f"The gateway was changed to the Secret {rotation.secret}; {words}.")
    error.next_step = f"{error.next_step} The same command goes on from there."
    return error
