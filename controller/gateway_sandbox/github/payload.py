"""The acquirejob reply: the job message that reaches the worker byte for byte.

Source: actions/runner `src/Sdk/DTPipelines/Pipelines/AgentJobRequestMessage.cs`.
"""

from collections.abc import Mapping
from typing import Any

from gateway_sandbox.github.dispatch import billing_owner_id, run_service_url
from gateway_sandbox.github.models import Delivery, Job, Run
from gateway_sandbox.github.state import State
from gateway_sandbox.runner.contextdata import encode_context


def github_context(state: State, run: Run) -> dict[str, Any]:
    """The `github` context of a run, without what only a job knows."""
    context = {
        "repository": run.repository,
        "repository_owner": run.repository.partition("/")[0],
        "run_id": str(run.id),
        "run_number": str(run.number),
        "run_attempt": str(run.attempt),
        "workflow": run.name,
        "workflow_ref": f"{run.repository}/{run.path.lstrip('/')}@refs/heads/main",
        "sha": run.sha,
        "ref": "refs/heads/main",
        "ref_name": "main",
        "ref_type": "branch",
        "event_name": "workflow_dispatch",
        "actor": "octo-developer",
        "server_url": state.base_url,
        "api_url": f"{state.base_url}/api/v3",
    }
    return context if run.source is None else context | {"gateway_sandbox_source": run.source}


def job_payload(state: State, delivery: Delivery, *, needs: Mapping[str, Any], github_token: str) -> dict[str, Any]:
    """The whole message for one delivery; the plan's own parts win over the defaults."""
    job = delivery.job
    run, message = job.run, dict(job.plan.message)
    github = github_context(state, run) | {"job": job.plan.key, "token": github_token}
    contexts: dict[str, Any] = {
        "matrix": encode_context(job.plan.matrix) if job.plan.matrix else None,
        "strategy": encode_context({}),
        "inputs": encode_context({}),
        "vars": encode_context({}),
    }
    contexts |= message.pop("contextData", {})
    contexts |= {
        "github": encode_context(github),
        "job": encode_context({"check_run_id": job.id}),
        "needs": encode_context(needs),
    }
    variables = _variables(job, github_token) | message.pop("variables", {})
    resources = {"endpoints": [_connection(state, delivery)]}
    defaults: dict[str, Any] = {
        "messageType": "RunnerJobRequest",
        "plan": {"planType": "actions", "version": 0, "planId": job.plan_id, "artifactUri": "", "artifactLocation": ""},
        "timeline": {"id": job.plan_id, "changeId": 0, "location": None},
        "jobId": job.uuid,
        "jobDisplayName": job.plan.name,
        "jobName": "__default",
        "requestId": 0,
        "lockedUntil": "0001-01-01T00:00:00",
        "fileTable": [run.path],
        "mask": [{"type": "regex", "value": github_token}],
        "steps": [],
        "environmentVariables": [],
        "defaults": [],
        "jobOutputs": None,
        "jobContainer": None,
        "jobServiceContainers": None,
        "snapshot": None,
        "billingOwnerId": billing_owner_id(job),
    }
    padding = state.settings.payload_padding_bytes
    extra = {"padding": "x" * padding} if padding else {}
    return defaults | message | {"contextData": contexts, "variables": variables, "resources": resources} | extra


def _variables(job: Job, github_token: str) -> dict[str, Any]:
    values = {
        "system.github.job": job.plan.key,
        "system.orchestrationId": f"{job.plan_id}.{job.plan.key}.__default",
        "system.runnerGroupName": "Default",
        "system.runnerEnvironment": "self-hosted",
        "system.from_run_service": "true",
    }
    secret = {"github_token": {"value": github_token, "isSecret": True}}
    return {name: {"value": value} for name, value in values.items()} | secret


def _connection(state: State, delivery: Delivery) -> dict[str, Any]:
    """The endpoint the worker completes at; its URL ends in a slash, since the worker resolves leaves against it."""
    return {
        "name": "SystemVssConnection",
        "url": run_service_url(state, delivery.job).rstrip("/") + "/",
        "isShared": False,
        "isReady": True,
        "authorization": {"scheme": "OAuth", "parameters": {"AccessToken": delivery.token}},
        "data": {
            "ServerId": "",
            "ServerName": "",
            "CacheServerUrl": "",
            "FeedStreamUrl": "",
            "ResultsServiceUrl": f"{state.base_url}/results/",
            "PipelinesServiceUrl": "",
            "GenerateIdTokenUrl": "",
            "ConnectivityChecks": "[]",
        },
    }
