"""Every name that is written to a cluster, spelled once."""

import hashlib
import re

API_GROUP = "actions-gateway.github.com"
API_VERSION = "v1alpha1"

# -- the manager and its namespace
MANAGER_NAMESPACE = "gmc-system"
MANAGER = "gmc-controller-manager"
MANAGER_LEASE = "actions-gateway-gmc-leader"
MANAGER_METRICS = f"{MANAGER}-metrics"
MANAGER_CLUSTER_ROLE = "gmc-manager-role"
AGENT_CLUSTER_ROLE = "agc-tenant-role"
LEADER_ROLE = "gmc-leader-election"
RESERVED_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", MANAGER_NAMESPACE})

# -- roles of people, and what the built-in roles of a namespace get
VIEWER_ROLE = "gw-viewer"
ONCALL_ROLE = "gw-oncall"
TENANT_ROLE = "gw-tenant"
AGGREGATED_VIEW_ROLE = "actions-gateway-view"
AGGREGATED_EDIT_ROLE = "actions-gateway-edit"
OVERRIDE_VERB = "override"
"""On ActionsGateways, of our own making: its holders may change what the manager owns. Wildcards hold it."""

# -- admission policies; each one's binding has its name
POD_TEMPLATE_POLICY = "gmc-pod-templates"
GATEWAY_PLACE_POLICY = "gmc-gateway-places"
SECURITY_PROFILE_POLICY = "gmc-security-profiles"
TENANT_NAMESPACE_POLICY = "gmc-tenant-namespaces"
MANAGER_NAMESPACE_POLICY = "gmc-manager-namespaces"
MANAGER_CHILDREN_POLICY = "gmc-manager-children"
MANAGER_GATEWAY_POLICY = "gmc-manager-gateways"
MANAGER_DEPLOYMENT_POLICY = "gmc-manager-deployment"
OWNED_OBJECT_POLICY = "gmc-owned-objects"
AGENT_POD_POLICY = "gmc-agent-pods"
AGENT_SECRET_POLICY = "gmc-agent-secrets"
AGENT_CONFIGMAP_POLICY = "gmc-agent-configmaps"

# -- one tenant's objects; constants, since a namespace holds one gateway
AGENT = "actions-gateway-controller"
WORKER = "actions-gateway-worker"
WORKLOAD_POLICY = "actions-gateway-workload"
PROXY = "actions-gateway-proxy"
AGENT_CONTAINER = "agc"
PROXY_CONTAINER = "proxy"
RUNNER_CONTAINER = "runner"
RERUN_LEDGER = "actions-gateway-reruns"
"""The ConfigMap in which the agent keeps which jobs it reruns and how often it has, by workflow run."""
GITHUB_APP_KEYS = ("appId", "installationId", "privateKey")
"""Of the Secret that a gateway names; nothing else of it is mounted."""

GATEWAY_FINALIZER = f"{API_GROUP}/gmc-cleanup"
"""On a served gateway: what it has at GitHub goes first, then its objects, then it."""

# -- field managers of server-side apply
MANAGER_FIELDS = "actions-gateway-gmc"
MANAGER_STATUS_FIELDS = "actions-gateway-gmc-status"
AGENT_STATUS_FIELDS = "actions-gateway-agc-status"
INSTALL_FIELDS = "gw-install"

# -- job Secrets: a bounded set of slots, so that RBAC can name each of them
JOB_SLOTS = 1024
MAX_NAME_LENGTH = 62
"""Gateway and group together; with the joining hyphen the RunnerGroup's name fits a label value (63)."""

_UNSAFE = re.compile(r"[^a-z0-9-]+")


def runner_group_name(gateway: str, group: str) -> str:
    """The RunnerGroup object of a gateway's group."""
    return f"{gateway}-{group}"


def job_slot_name(slot: int) -> str:
    """The Secret of slot 1 to JOB_SLOTS."""
    if not 1 <= slot <= JOB_SLOTS:
        raise ValueError(f"job slot {slot} is not in 1..{JOB_SLOTS}")
    return f"job-{slot:04d}"


def job_slot_number(name: str) -> int | None:
    """The slot of a Secret's name; None when it is no slot's."""
    number = int(name[4:]) if re.fullmatch(r"job-[0-9]{4}", name) else 0
    return number if 1 <= number <= JOB_SLOTS else None


def runner_name(group: str, group_uid: str, nonce: str) -> str:
    """A registration's unique name: group cut to 40, 8 hex of the RunnerGroup's uid, 8 hex nonce (at most 58)."""
    return f"{group[:40]}-{uid_part(group_uid)}-{nonce}"


def uid_part(uid: str) -> str:
    """The eight hex digits of an object's uid that tell our registrations from others'."""
    return uid.replace("-", "")[:8]


def worker_pod_name(group: str, plan_id: str) -> str:
    """The worker pod of one job: at most 63 characters, never cut without a digest."""
    digest = hashlib.sha256(plan_id.encode()).hexdigest()[:10]
    safe = _UNSAFE.sub("-", group.lower()).strip("-") or "group"
    return f"runner-{_shortened(safe, 63 - len('runner--') - len(digest))}-{digest}"


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:7]
    return f"{text[: length - 8].rstrip('-')}-{digest}"
