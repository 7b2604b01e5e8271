"""Decides what a rotation writes: a pure function of the order and of what is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from actions_gateway.api import labels
from actions_gateway.github.app import AppCredentials
from gw.errors import Refused
from gw.ops.changes.plan import Step, change_step, create_step, unchanged_step
from gw.ops.keys.credentials import check_credentials
from gw.ops.keys.manifests import build_app_secret
from gw.ops.keys.order import RotateKey
from gw.ops.keys.snapshot import Snapshot
from gw.ops.tenants import refuse_deleted
from gw.sources.secrets import AppIdentity, StoredSecret, identity_from


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is to be done."""

    key: AppIdentity
    secret: str
    """The Secret that the gateway shall refer to."""
    replaced: str
    """The Secret whose place it takes."""
    secret_step: Step
    reference_step: Step
    consequences: tuple[str, ...]
    is_resumed: bool = False


def choose_credentials(order: RotateKey, snapshot: Snapshot) -> AppCredentials:
    """The new credential: App and installation stay as they are unless the order says otherwise. Raises GwError."""
    used, told = snapshot.in_use.identity if snapshot.in_use else None, snapshot.gateway.credential
    app_id = order.app_id or (used.app_id if used else told.app_id if told else "")
    installation_id = order.installation_id or (used.installation_id if used else told.installation_id if told else "")
    if not app_id or not installation_id:
        raise Refused(
            f"neither the Secret {snapshot.gateway.secret_name} nor the gateway's status says whose key is in use",
            "Add --app-id and --installation-id.",
        )
    return check_credentials(
        app_id=app_id, installation_id=installation_id, private_key=order.private_key, source=order.source
    )


def decide_rotation(order: RotateKey, snapshot: Snapshot, credentials: AppCredentials) -> Rotation:
    """What to write; raises Refused."""
    refuse_deleted(snapshot.gateway)
    key, in_use = identity_from(credentials), snapshot.in_use
    if in_use is not None and in_use.identity == key:
        return _resumed(order, snapshot, key, in_use)
    replaced = snapshot.gateway.secret_name
    made = snapshot.with_identity(key)
    name = made.name if made else snapshot.next_name
    reference = {"spec": {"gitHubAppRef": {"name": name}}}
    return Rotation(
        key,
        name,
        replaced,
        _taken(made, replaced, key) if made else _made(order, snapshot, name, key),
        change_step(snapshot.live, reference, f"refers to {name} in place of {replaced}"),
        tuple(_consequences(order, snapshot, replaced)),
    )


def _resumed(order: RotateKey, snapshot: Snapshot, key: AppIdentity, in_use: StoredSecret) -> Rotation:
    """An earlier run of the same command has changed the reference; without its mark there is nothing to rotate."""
    if not in_use.replaces:
        raise Refused(
            f"the key {key.key_fingerprint} is the one that {order.namespace} uses already (Secret {in_use.name})",
            "Make a new private key in the App's settings at GitHub, and name its file with --private-key-file.",
        )
    return Rotation(
        key,
        in_use.name,
        in_use.replaces,
        unchanged_step(in_use.manifest, f"key {key.key_fingerprint}"),
        unchanged_step(snapshot.live, f"refers to {in_use.name} already"),
        (),
        is_resumed=True,
    )


def _made(order: RotateKey, snapshot: Snapshot, name: str, key: AppIdentity) -> Step:
    manifest = build_app_secret(
        order.namespace,
        name,
        app_id=key.app_id,
        installation_id=key.installation_id,
        private_key=order.private_key,
        replaces=snapshot.gateway.secret_name,
    )
    return create_step(manifest, f"{_told(key)}, immutable")


def _taken(secret: StoredSecret, replaced: str, key: AppIdentity) -> Step:
    """A Secret that is there with this very key; it is made immutable and says what it replaces, as a new one would."""
    patch = {"immutable": True, "metadata": {"annotations": {labels.REPLACES: replaced}}}
    return change_step(secret.manifest, patch, f"{_told(key)}, there already")


def _told(key: AppIdentity) -> str:
    return f"App {key.app_id}, installation {key.installation_id}, key {key.key_fingerprint}"


def _consequences(order: RotateKey, snapshot: Snapshot, replaced: str) -> Iterator[str]:
    gateway = snapshot.gateway
    if gateway.wants_no_agent:
        yield f"The gateway is {gateway.intention}: no agent runs, so the new key is tried when that ends"
    else:
        yield "The agent starts anew once: running jobs go on, and jobs that wait are taken some seconds later"
    if order.delete_old:
        yield f"The Secret {replaced} is deleted once the new key works"
    else:
        yield f"The Secret {replaced} stays"
    if order.compromised:
        yield "Whatever happens, the gateway does not return to the old key"
    elif not gateway.wants_no_agent:
        yield "When the new key does not come to work and the old one does, the gateway returns to the old one"
    if order.delete_old and any(sibling.secret_name == replaced for sibling in snapshot.siblings):
        yield f"Another gateway of the namespace, which is not served, refers to {replaced}, too"
