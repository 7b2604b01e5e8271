"""What happens when a new key does not come to work: whether the old one still does, and the way back to it."""

from dataclasses import dataclass
from enum import StrEnum

from actions_gateway.engine.clock import Clock
from gw.errors import Blind, GwError
from gw.ops.changes.carrying import Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, change_step
from gw.ops.keys.credentials import LookUp
from gw.ops.keys.decide import Rotation
from gw.ops.keys.following import Target, follow
from gw.ops.keys.order import FIELD_MANAGER, RotateKey
from gw.ops.keys.snapshot import Snapshot
from gw.ops.tenants import read_served
from gw.sources.cluster import Cluster, asking
from gw.sources.installation import InstallationQuery
from gw.sources.ownership import gitops_owner
from gw.sources.secrets import read_secret


class Standing(StrEnum):
    """What is known of the old key."""

    PROVEN = "proven"
    """GitHub accepts it now."""
    LIKELY = "likely"
    """GitHub could not be asked; the agent worked with it when the rotation began."""
    GONE = "gone"
    """GitHub refuses it, or its Secret holds no key."""
    UNKNOWN = "unknown"
    """GitHub could not be asked, and the agent did not work with it either."""


@dataclass(frozen=True, slots=True)
class OldKey:
    """What is known of the old key, and why; `why` goes on after "the old key" or stands alone."""

    standing: Standing
    why: str
    fingerprint: str = ""

    @property
    def is_worth_returning_to(self) -> bool:
        return self.standing in (Standing.PROVEN, Standing.LIKELY)


async def look_at_old_key(
    cluster: Cluster, order: RotateKey, snapshot: Snapshot, rotation: Rotation, look_up: LookUp
) -> OldKey:
    """Asks GitHub about the key in the old Secret; raises GwError when the cluster gives no answer."""
    with asking(f"read the Secret {rotation.replaced}"):
        stored = await read_secret(cluster, order.namespace, rotation.replaced)
    if stored is None or stored.credentials is None:
        return OldKey(Standing.GONE, f"the Secret {rotation.replaced} {'holds no key' if stored else 'does not exist'}")
    fingerprint = stored.credentials.key_fingerprint
    try:
        await look_up(InstallationQuery(snapshot.gateway.github_url, stored.credentials, order.ca_bundle))
    except Blind as silence:
        # A resumed rotation's beginning is not known any more.
        if snapshot.works and not rotation.is_resumed:
            why = f"GitHub could not be asked ({silence.what}), and the agent worked with it when the rotation began"
            return OldKey(Standing.LIKELY, why, fingerprint)
        return OldKey(Standing.UNKNOWN, f"GitHub could not be asked ({silence.what})", fingerprint)
    except GwError as refusal:
        return OldKey(Standing.GONE, refusal.what, fingerprint)
    return OldKey(Standing.PROVEN, "GitHub accepts it", fingerprint)


async def return_to_old(
    cluster: Cluster,
    order: RotateKey,
    snapshot: Snapshot,
    rotation: Rotation,
    old: OldKey,
    *,
    clock: Clock,
    conversation: Conversation,
) -> None:
    """Refers to the old Secret again and waits until the agent works with it; raises GwError."""
    served = await read_served(cluster, order.namespace)
    step = change_step(
        served.live, {"spec": {"gitHubAppRef": {"name": rotation.replaced}}}, f"back to {rotation.replaced}"
    )
    await carry_out(
        cluster,
        Plan(order.namespace, (step,), (f"The new key did not come to work; the old one does ({old.why})",)),
        Manner(yes=True),
        conversation=conversation,
        field_manager=FIELD_MANAGER,
        question="",
    )
    await follow(
        cluster,
        Target(order.namespace, served.fact.name, rotation.replaced, old.fingerprint, snapshot.silent_groups),
        timeout_seconds=order.timeout_seconds,
        clock=clock,
        listener=conversation,
    )


async def why_not_to_return(cluster: Cluster, order: RotateKey, rotation: Rotation, old: OldKey | None) -> str:
    """A sentence without a full stop, empty when nothing speaks against it; raises GwError."""
    if order.compromised:
        return "it does not return to a compromised key"
    if old is not None and not old.is_worth_returning_to:
        return f"it does not return, since the old key is not known to work: {old.why}"
    served = await read_served(cluster, order.namespace)
    if served.fact.secret_name != rotation.secret:
        return "somebody else has changed the reference meanwhile"
    if owner := gitops_owner(served.live):
        return f"{owner} keeps the gateway: to return, put {rotation.replaced} back into spec.gitHubAppRef.name in git"
    return ""
