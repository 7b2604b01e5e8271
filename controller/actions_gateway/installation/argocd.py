"""How Argo CD reads the health of our objects: a Lua script for its ConfigMap `argocd-cm`, the same for both kinds.

Argo CD runs it with Lua 5.1 and without the string library, gives it the object as `obj`, and knows the answers
Healthy, Progressing, Degraded and Suspended (Argo CD documentation, "Resource Health", "Custom Health Checks"). A sync
fails on Degraded, so what a rollout passes through is Progressing.
"""

from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.names import API_GROUP
from actions_gateway.installation.metadata import Manifest

WAITING = (
    Reason.AGC_NOT_READY,
    Reason.PROXY_NOT_READY,
    Reason.CREDENTIAL_UNKNOWN,
    Reason.GITHUB_UNREACHABLE,
    Reason.NO_ACTIVE_SESSIONS,
)
"""Reasons of a False Ready that time may cure; every other one needs somebody."""

_WAITING = ", ".join(f"{reason} = true" for reason in WAITING)

HEALTH_SCRIPT = f"""\
local function health(status, message)
  return {{status = status, message = message}}
end

local known = {{}}
local status = obj.status or {{}}
for _, condition in ipairs(status.conditions or {{}}) do
  known[condition.type] = condition
end
local function is_true(type)
  return known[type] ~= nil and known[type].status == "True"
end

local ready = known.{ConditionType.READY}
if obj.metadata.deletionTimestamp ~= nil then
  local deleting = known.{ConditionType.DELETING}
  return health("Progressing", deleting ~= nil and deleting.message or "It is being deleted.")
end
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Nobody has reported on the current spec yet.")
end
local reason = ready.reason
if reason == "{Reason.CONTAINED}" or reason == "{Reason.SUSPENDED}" then
  return health("Suspended", ready.message)
end
local credential = known.{ConditionType.CREDENTIAL_UNAVAILABLE}
if ready.status ~= "True" and is_true("{ConditionType.CREDENTIAL_UNAVAILABLE}") then
  return health("Degraded", credential.message)
end
if is_true("{ConditionType.DEGRADED}") then
  return health("Degraded", known.{ConditionType.DEGRADED}.message)
end
local waiting = {{{_WAITING}}}
if ready.status ~= "True" then
  return health(waiting[reason] and "Progressing" or "Degraded", reason .. ": " .. ready.message)
end
if is_true("{ConditionType.PAUSED}") then
  return health("Suspended", known.{ConditionType.PAUSED}.message)
end
return health("Healthy", ready.message)
"""


def argocd_patch() -> Manifest:
    """What `kubectl patch --patch-file` adds to the ConfigMap."""
    kinds = (crd["spec"]["names"]["kind"] for crd in (gateway_crd(), runner_group_crd()))
    keys = (f"resource.customizations.health.{API_GROUP}_{kind}" for kind in kinds)
    return {"data": dict.fromkeys(keys, HEALTH_SCRIPT)}
