"""Labels and annotations: keys and the few values that code compares with. Values that look boolean are avoided, as
Kubernetes' API conventions advise; the tenant marker is the one exception, since the design fixes its value."""

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
METRICS_NAMESPACE = "metrics"
METRICS_ENABLED = "enabled"

BY_MANAGER = "actions-gateway-gmc"
BY_AGENT = "actions-gateway-controller"

# -- annotations
SCHEMA_VERSION = f"{API_GROUP}/schema-version"
"""On the custom resource definitions: the release whose schema they hold, so that an older one never replaces it."""
CREDENTIAL_SECRET = "actions-gateway/github-app-secret"
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
