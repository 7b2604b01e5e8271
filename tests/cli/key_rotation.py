"""A tenant whose key is rotated: its Secrets, and the manager and the agent that follow its reference."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.github.secrets import Secret
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import Manifest as Object
from actions_gateway.kube.resources import Resource
from gw.ops.keys.manifests import build_app_secret
from gw.sources.installation import Installation, InstallationQuery
from gw.sources.secrets import identity_of

from .double import ClusterDouble
from .objects import agent_pod, condition, gateway, moment, namespace, proxy_pod, runner_group
from .onboarding import KEY, OTHER_KEY, SECRET_LINES
from .rig import Answer, GitHubDouble, Gw

Manifest = dict[str, Any]

TENANT = "team-a"
OLD, NEW = "github-app-v1", "github-app-v2"
WRITES = (f"Secret {NEW}", f"ActionsGateway {TENANT}", f"Secret {OLD}")
"""What a whole rotation writes, the old Secret's deletion last."""


def secret(name: str, key: str, *, app_id: str = "1234") -> Manifest:
    made = build_app_secret(TENANT, name, app_id=app_id, installation_id="5678", private_key=Secret(key))
    made["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": moment(86400 * 30)}
    return made


@cache
def fingerprint(key: str) -> str:
    found = identity_of(secret(OLD, key))
    assert found is not None
    return found.key_fingerprint


class InterruptedCluster(ClusterDouble):
    """Raises right after the write of that number, as Ctrl-C or a lost answer does."""

    def __init__(self, *objects: Manifest) -> None:
        super().__init__(*objects)
        self.writes = 0
        self.after: dict[int, BaseException] = {}

    async def create(self, resource: Resource, manifest: Object, **how: Any) -> Object:
        return self._written(await super().create(resource, manifest, **how), **how)

    async def patch(self, resource: Resource, name: str, patch: Object, **how: Any) -> Object:
        return self._written(await super().patch(resource, name, patch, **how), **how)

    async def delete(self, resource: Resource, name: str, **how: Any) -> None:
        await super().delete(resource, name, **how)
        self._written({}, dry_run=False)

    def _written(self, result: Object, *, dry_run: bool = False, **_: Any) -> Object:
        if not dry_run:
            self.writes += 1
            if problem := self.after.pop(self.writes, None):
                raise problem
        return result


@dataclass
class ByKey(GitHubDouble):
    """Refuses the keys of these fingerprints, and accepts the others."""

    refused: dict[str, Exception] = field(default_factory=dict)

    async def look_up(self, query: InstallationQuery) -> Installation:
        if problem := self.refused.get(query.credentials.key_fingerprint):
            self.queries.append(query)
            raise problem
        return await super().look_up(query)


@dataclass
class Agent:
    """What manager and agent make of the gateway's reference, as soon as time passes."""

    cluster: ClusterDouble
    is_stuck: bool = False
    """The new pod never becomes ready."""
    refuses: frozenset[str] = frozenset()
    """Secrets whose key GitHub refuses the agent."""
    silent: frozenset[str] = frozenset()
    """Secrets with which no session opens."""

    def follow(self) -> None:
        live = self.cluster.objects["actionsgateways", TENANT, TENANT]
        name = live["spec"]["gitHubAppRef"]["name"]
        self.cluster.put(deployment(name, is_ready=not (self.is_stuck and name != OLD)))
        if self.is_stuck and name != OLD:
            return
        stored = self.cluster.objects.get(("secrets", TENANT, name))
        key = base64.b64decode(stored["data"]["privateKey"]).decode() if stored else ""
        credential = {"keyFingerprint": fingerprint(key) if key else "", "appId": "1234"}
        credential |= {"installationId": "5678", "permissions": {"actions": "write"}}
        is_refused = not key or name in self.refuses
        if not is_refused:
            credential["tokenExpiresAt"] = moment(-3600)
        entry = condition(
            ConditionType.CREDENTIAL_UNAVAILABLE,
            str(is_refused),
            Reason.KEY_REJECTED if is_refused else Reason.CREDENTIAL_AVAILABLE,
            "GitHub does not accept the key." if is_refused else "",
            seconds_ago=0,
        )
        sessions = 0 if is_refused or name in self.silent else 1
        for group in self.groups():
            kept = [each for each in group["status"]["conditions"] if each["type"] != entry["type"]]
            group["status"] |= {"activeSessions": sessions, "credential": credential, "conditions": [*kept, entry]}
        kept = [each for each in live["status"]["conditions"] if each["type"] != entry["type"]]
        live["status"] |= {"credential": credential, "conditions": [*kept, entry], "activeSessions": sessions}

    def groups(self) -> list[Manifest]:
        return [group for (plural, *_), group in self.cluster.objects.items() if plural == "runnergroups"]


def deployment(secret_name: str, *, is_ready: bool = True) -> Manifest:
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(is_ready), "observedGeneration": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names.AGENT, "namespace": TENANT, "generation": 1},
        "spec": {"template": {"metadata": {"annotations": {labels.CREDENTIAL_SECRET: secret_name}}}},
        "status": counts,
    }


@dataclass
class Rotation:
    """`gw key rotate team-a` on a tenant that works with KEY, and a file with OTHER_KEY."""

    folder: Path
    cluster: InterruptedCluster = field(default_factory=lambda: InterruptedCluster(*working_tenant()))

    def __post_init__(self) -> None:
        self.github = ByKey()
        self.gw = Gw(cluster=self.cluster, github=self.github)
        self.agent = Agent(self.cluster)
        self.agent.follow()
        self.gw.clock.on_sleep = self.agent.follow
        self.key_file.write_text(OTHER_KEY)
        self.key_file.chmod(0o600)

    @property
    def key_file(self) -> Path:
        return self.folder / "new.pem"

    @property
    def reference(self) -> str:
        return str(self.cluster.objects["actionsgateways", TENANT, TENANT]["spec"]["gitHubAppRef"]["name"])

    @property
    def secrets(self) -> list[str]:
        return self.cluster.names(r.SECRETS)

    def texts(self, name: str) -> dict[str, str]:
        data = self.cluster.objects["secrets", TENANT, name]["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def __call__(self, *arguments: str, yes: bool = True, **how: Any) -> Answer:
        options = ["--private-key-file", str(self.key_file)]
        if yes:
            options += ["--yes", *(["--confirm", TENANT] if "--delete-old" in arguments else [])]
        answer = self.gw("key", "rotate", TENANT, *options, *arguments, **how)
        assert [line for line in SECRET_LINES if line in answer.out + answer.err] == []
        assert "Traceback" not in answer.err
        return answer


def working_tenant() -> list[Manifest]:
    return [
        namespace(TENANT),
        gateway(TENANT),
        runner_group(TENANT),
        agent_pod(TENANT),
        proxy_pod(TENANT),
        secret(OLD, KEY),
    ]


def interrupting() -> Callable[[], None]:
    def interrupt() -> None:
        raise KeyboardInterrupt

    return interrupt
