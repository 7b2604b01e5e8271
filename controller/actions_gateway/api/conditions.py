"""Condition types and reasons of both objects, and the one setter.

`Ready` is True when fine; every other condition is named for its problem and True while it exists, except the two
`…Available` ones, whose names state the healthy fact. A condition's time moves only when its status does; its observed
generation always moves (Kubernetes API conventions, "Typical status properties").
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

SUSTAINED_LIMIT_SECONDS = 600.0
"""How long GitHub must limit a group without a good answer until RateLimited says so; a shorter limit is passing."""

NO_ANSWER = "GitHub gives no answer"
"""How a group's Ready condition says that it has no session since nothing reaches GitHub, or GitHub fails."""


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"
    AGC_AVAILABLE = "AGCAvailable"
    CREDENTIAL_UNAVAILABLE = "CredentialUnavailable"
    DEGRADED = "Degraded"
    PROXY_AVAILABLE = "ProxyAvailable"
    RATE_LIMITED = "RateLimited"
    RUNNER_VERSION_TOO_OLD = "RunnerVersionTooOld"
    RUNNER_GROUPS_DEGRADED = "RunnerGroupsDegraded"
    PAUSED = "Paused"
    DELETING = "Deleting"
    POD_SECURITY_OVERRIDDEN = "PodSecurityOverridden"


class ConditionStatus(StrEnum):
    """Kubernetes' three answers."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a condition has its status; each with the situation that produces it."""

    # ActionsGateway, Ready
    ALL_AVAILABLE = "AllAvailable"
    """Every component is up and the credential works."""
    ANOTHER_GATEWAY = "AnotherGateway"
    """An older ActionsGateway serves this namespace."""
    INVALID_SPEC = "InvalidSpec"
    """The spec violates a rule that the API server did not catch."""
    RESERVED_NAMESPACE = "ReservedNamespace"
    """Gateways are not served in system namespaces."""
    NAMESPACE_NOT_MARKED = "NamespaceNotMarked"
    """The manager serves only namespaces that a platform owner marked, and this one is not."""

    # AGCAvailable
    AGC_READY = "AGCReady"
    """The agent's pod is ready."""
    AGC_NOT_READY = "AGCNotReady"
    """The agent has no ready pod; the message names the last known cause."""

    # CredentialUnavailable (both objects; the agent observes, the manager folds up)
    CREDENTIAL_AVAILABLE = "CredentialAvailable"
    """The key minted an installation token."""
    CREDENTIAL_UNKNOWN = "CredentialNotYetChecked"
    """No agent has reported on the current credential."""
    SECRET_NOT_FOUND = "SecretNotFound"
    """The referenced Secret is absent or empty in the agent's mount."""
    SECRET_FIELD_MISSING = "SecretFieldMissing"
    """The Secret lacks appId, installationId or privateKey."""
    SECRET_FIELD_INVALID = "SecretFieldInvalid"
    """A field has no usable form: an id that is no number, a key that is no RSA key in PEM."""
    KEY_REJECTED = "KeyRejected"
    """GitHub does not accept the key for that App (401)."""
    INSTALLATION_NOT_FOUND = "InstallationNotFound"
    """GitHub knows no such installation of the App (404)."""
    INSTALLATION_SUSPENDED = "InstallationSuspended"
    """The installation is suspended (403)."""
    PERMISSION_MISSING = "PermissionMissing"
    """The installation may not register runners here."""
    GITHUB_UNREACHABLE = "GitHubUnreachable"
    """GitHub gave no usable answer; nothing is known about the credential."""
    SECRET_EDITED = "SecretEdited"
    """The Secret was edited in place; the next restart of the agent takes the edit, which works."""
    EDITED_SECRET_UNUSABLE = "EditedSecretUnusable"
    """The Secret was edited in place or deleted and cannot be used; the agent works on with what it read before."""

    # ProxyAvailable
    PROXY_READY = "ProxyReady"
    """At least spec.proxy.minReplicas proxies are ready."""
    PROXY_REDUCED = "ProxyReduced"
    """Traffic passes, through fewer ready proxies than spec.proxy.minReplicas."""
    PROXY_NOT_READY = "ProxyNotReady"
    """No proxy is ready: nothing of the tenant reaches GitHub. The message names the last known cause."""

    # RateLimited (both objects; the agent observes, the manager folds up)
    SUSTAINED_RATE_LIMIT = "SustainedRateLimit"
    """GitHub has limited the group (429, or 403 with a limit) for SUSTAINED_LIMIT_SECONDS without a good answer."""
    WITHIN_RATE_LIMIT = "WithinRateLimit"
    """GitHub answers, or has limited requests for a shorter time."""

    # RunnerGroupsDegraded
    RUNNER_GROUPS_IMPAIRED = "RunnerGroupsImpaired"
    """At least one runner group has a problem of its own; the message names groups and reasons."""
    RUNNER_GROUPS_HEALTHY = "AllRunnerGroupsHealthy"
    """No runner group reports a problem of its own."""

    # Paused
    PAUSED_BY_SPEC = "PausedBySpec"
    """spec.paused is true: nothing is claimed, running jobs go on to their end."""
    CONTAINED = "Contained"
    """The annotation `contained` is set: no agent runs, no traffic passes. A reason of Ready and AGCAvailable, too."""
    NOT_PAUSED = "NotPaused"
    """Nobody asked for a pause or a containment."""

    # Deleting
    REMOVING_REGISTRATIONS = "RemovingRegistrations"
    """The agent removes the gateway's runners at GitHub."""
    REMOVING_OBJECTS = "RemovingObjects"
    """The gateway's objects are being deleted; the message names what remains."""

    # PodSecurityOverridden
    STRICTER_LEVEL_KEPT = "StricterLevelKept"
    """The namespace has a stricter Pod Security level that somebody else set; it stays."""
    LEVEL_APPLIED = "LevelApplied"
    """The namespace has the Pod Security level of spec.securityProfile."""

    # Degraded
    PROVISIONING_FAILED = "ProvisioningFailed"
    """A step of provisioning failed; the message names it."""
    RECONCILED = "ReconcileSucceeded"
    """The last pass completed."""

    # RunnerGroup, Degraded
    WORKERS_REFUSED = "WorkersRefused"
    """No worker is admitted: the API server refuses them, or a quota lets no job be claimed; the message says which."""
    POD_TEMPLATE_REFUSED = "PodTemplateRefused"
    """No job waits, but the API server would not admit a worker of these settings; the message names the field."""
    WORKERS_ADMITTED = "WorkersAdmitted"
    """Nothing is known that would keep a worker of the group from being admitted."""

    UNAUTHORIZED = "Unauthorized"
    """GitHub rejected runners, and the new ones in their place, too."""

    # RunnerGroup, RunnerVersionTooOld
    VERSION_TOO_OLD = "VersionTooOld"
    """GitHub gives no jobs to runners of the version that the agent reports; the message names it and the image."""
    VERSION_SUPPORTED = "VersionSupported"
    """GitHub has not said so since the last good session."""

    # RunnerGroup, Ready
    LISTENER_ACTIVE = "ListenerActive"
    """At least one session is open."""
    NO_ACTIVE_SESSIONS = "NoActiveSessions"
    """No session is open."""
    SUSPENDED = "Suspended"
    """The group is suspended or its gateway paused: it claims nothing by intention."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as code decides it; times and generation are the setter's business."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


def set_conditions(
    current: list[dict[str, Any]], decided: tuple[Condition, ...], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The status list with `decided` written into `current`: times move on flips only, foreign types stay."""
    known = {entry["type"]: entry for entry in current}
    for condition in decided:
        before = known.get(condition.type.value)
        flipped = before is None or before.get("status") != condition.status.value
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ") if flipped or before is None else before["lastTransitionTime"]
        known[condition.type.value] = {
            "type": condition.type.value,
            "status": condition.status.value,
            "reason": condition.reason.value,
            "message": condition.message,
            "lastTransitionTime": stamp,
            "observedGeneration": generation,
        }
    return list(known.values())


def find_condition(manifest: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The condition of an object, of ours or another one, or None."""
    for entry in (manifest.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return dict(entry)
    return None


def is_true(manifest: dict[str, Any], kind: ConditionType) -> bool:
    """Whether the condition exists and is True."""
    condition = find_condition(manifest, kind)
    return condition is not None and condition.get("status") == ConditionStatus.TRUE.value
