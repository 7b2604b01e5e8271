"""Labels and annotations: keys and the few values that code compares with. Values that look boolean are avoided, as
Kubernetes' API conventions advise; exceptions are the tenant marker and the permission to lower a security
profile, whose values are established."""

from actions_gateway.api.names import API_GROUP

# -- labels
MANAGED_BY = "app.kubernetes.io/managed-by"
APP_NAME = "app.kubernetes.io/name"
APP_INSTANCE = "app.kubernetes.io/instance"
APP_COMPONENT = "app.kubernetes.io/component"
APP_PART_OF = "app.kubernetes.io/part-of"
PART_OF = "actions-gateway"
APP = "app"
COMPONENT = "actions-gateway/component"
WORKLOAD = "workload"
RUNNER_GROUP = "actions-gateway/runner-group"
OWNER_NAME = "actions-gateway/owner-name"
TENANT = f"{API_GROUP}/tenant"
TENANT_MARK = "true"
PRIVILEGED_PROFILE = f"{API_GROUP}/privileged-profile"
"""On a namespace, set by the platform: whether its gateway may have the security profile `privileged`."""
PRIVILEGED_ALLOWED = "allowed"
POD_SECURITY = "pod-security.kubernetes.io/"
POD_SECURITY_ENFORCE = f"{POD_SECURITY}enforce"
POD_SECURITY_MODES = ("enforce", "warn", "audit")
METRICS_NAMESPACE = "metrics"
METRICS_ENABLED = "enabled"

BY_MANAGER = "actions-gateway-gmc"
BY_AGENT = "actions-gateway-controller"

# -- annotations
SCHEMA_VERSION = f"{API_GROUP}/schema-version"
"""On the custom resource definitions: the release whose schema they hold, so that an older one never replaces it."""
CREDENTIAL_SECRET = "actions-gateway/github-app-secret"
CONTAINED = f"{API_GROUP}/contained"
"""On a gateway, any value: no agent runs and no traffic passes until the annotation is gone; set in an incident."""
ALLOW_DOWNGRADE = f"{API_GROUP}/allow-profile-downgrade"
"""On a gateway or a namespace, value "true": its security profile may be lowered."""
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
RUN_ID = f"{API_GROUP}/run-id"
RUN_ATTEMPT = f"{API_GROUP}/run-attempt"
REPOSITORY = f"{API_GROUP}/repository"
JOB_NAME = f"{API_GROUP}/job-name"
RUNNER_NAME = f"{API_GROUP}/runner-name"
CANCELLATION = f"{API_GROUP}/cancellation"
"""On a worker pod: the absolute deadline (RFC 3339) of a person's cancellation; empty or absent means none."""
JOB_SLOT = f"{API_GROUP}/job-slot"
SLOT_UID = f"{JOB_SLOT}-uid"
"""The uid of the slot's Secret, so that its deletion never hits a successor of the same name."""
