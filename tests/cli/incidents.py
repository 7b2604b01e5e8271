"""An App whose key is compromised, two tenants of it, and a manager and agents that do their part."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from actions_gateway.api import labels, names
from actions_gateway.github.app import key_fingerprint
from actions_gateway.kube import resources as r

from .double import ClusterDouble
from .objects import agent_pod, gateway, healthy_cluster, namespace, proxy_pod, runner_group
from .onboarding import pem
from .rig import Answer, AppDouble, Gw

Manifest = dict[str, Any]

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
APP = "1234"
POLICIES = (names.AGENT, names.PROXY, names.WORKLOAD_POLICY)
_OLD, _NEW = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
OLD_KEY, NEW_KEY = pem(_OLD), pem(_NEW)
OLD, NEW = key_fingerprint(_OLD), key_fingerprint(_NEW)
FINGERPRINTS = {OLD_KEY: OLD, NEW_KEY: NEW}


def secret(tenant: str, name: str, key: str = OLD_KEY) -> Manifest:
    texts = {"appId": APP, "installationId": "5678", "privateKey": key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": tenant, "uid": f"uid-{tenant}-{name}"},
        "data": {field: base64.b64encode(text.encode()).decode() for field, text in texts.items()},
    }


def tenant(name: str, *, app: str = APP, fingerprint: str = OLD) -> list[Manifest]:
    """A tenant that works, with what the manager made of it."""
    owner = gateway(name)
    owner["status"]["credential"] |= {"appId": app, "keyFingerprint": fingerprint}
    marks = {labels.MANAGED_BY: labels.BY_MANAGER}
    return [
        namespace(name),
        owner,
        runner_group(name),
        agent_pod(name),
        *(proxy_pod(name, number) for number in (1, 2)),
        secret(name, "github-app-v1"),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": names.AGENT, "namespace": name, "labels": marks},
            "spec": {"replicas": 1},
        },
        *(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": policy, "namespace": name, "labels": marks},
                "spec": {"egress": [{}]},
            }
            for policy in POLICIES
        ),
    ]


def carry_out(cluster: ClusterDouble) -> None:
    """What manager and agents do of each gateway's state (actions_gateway/manager/gateway/decide.py)."""
    for (plural, where, _), owner in list(cluster.objects.items()):
        if plural != r.ACTIONSGATEWAYS.plural:
            continue
        contained = labels.CONTAINED in (owner["metadata"].get("annotations") or {})
        if deployment := cluster.objects.get((r.DEPLOYMENTS.plural, where, names.AGENT)):
            deployment["spec"]["replicas"] = 0 if contained else 1
        for name in POLICIES:
            if policy := cluster.objects.get((r.NETWORKPOLICIES.plural, where, name)):
                policy["spec"]["egress"] = [] if contained else [{}]
        pod = agent_pod(where)
        if contained:
            cluster.objects.pop((r.PODS.plural, where, pod["metadata"]["name"]), None)
            continue
        cluster.put(pod)
        used = cluster.objects.get((r.SECRETS.plural, where, owner["spec"]["gitHubAppRef"]["name"]))
        if used is not None and owner["status"]["credential"]["appId"] == APP:
            key = base64.b64decode(used["data"]["privateKey"]).decode()
            owner["status"]["credential"]["keyFingerprint"] = FINGERPRINTS[key]


@dataclass
class Compromise:
    """gw on a cluster with three tenants, two of them of the same App."""

    folder: Path
    by: str = "olivia"
    gw: Gw = field(init=False)

    def __post_init__(self) -> None:
        objects = [
            *(each for each in healthy_cluster() if each["metadata"].get("namespace") != "team-a"),
            namespace(names.MANAGER_NAMESPACE),
            *tenant("team-a"),
            *tenant("team-b"),
            *tenant("team-c", app="99", fingerprint="SHA256:other="),
        ]
        self.gw = Gw(ClusterDouble(*objects), app=AppDouble(keys={OLD}))
        self.gw.clock.on_sleep = lambda: carry_out(self.cluster)
        self.signed_in(self.by)
        (self.folder / "new.pem").write_text(NEW_KEY)
        (self.folder / "old.pem").write_text(OLD_KEY)

    @property
    def cluster(self) -> ClusterDouble:
        return self.gw.cluster

    def signed_in(self, by: str) -> None:
        self.cluster.answers[WHO] = {"status": {"userInfo": {"username": by}}}

    def __call__(self, *arguments: str, **how: Any) -> Answer:
        answer = self.gw("incident", *arguments, **how)
        assert "PRIVATE KEY" not in answer.out + answer.err
        assert "Traceback" not in answer.err
        return answer

    def answer_it(self, *more: str) -> Answer:
        """`gw incident key-compromise` about team-a, as somebody who has the new key and asks no questions."""
        self.gw.app.keys.add(NEW)
        options = ("--private-key-file", str(self.folder / "new.pem"), "--yes", "--confirm", APP)
        return self("key-compromise", "team-a", *options, *more)

    def revoke(self) -> None:
        """What a person does in the App's settings."""
        self.gw.app.keys.discard(OLD)

    @property
    def incidents(self) -> list[Manifest]:
        """The documents that are kept."""
        return [
            json.loads(manifest["data"]["incident.json"]) | {"name": manifest["metadata"]["name"]}
            for (plural, _, _), manifest in sorted(self.cluster.objects.items())
            if plural == r.CONFIGMAPS.plural and "incident.json" in (manifest.get("data") or {})
        ]

    @property
    def states(self) -> dict[str, str]:
        """Of the only incident's steps."""
        (incident,) = self.incidents
        return {step[0]: step[2] for step in incident["steps"]}

    def gateway(self, name: str) -> Manifest:
        return self.cluster.objects[r.ACTIONSGATEWAYS.plural, name, name]

    def contained(self) -> list[str]:
        """The tenants that carry the annotation."""
        return [
            where
            for (plural, where, _), manifest in sorted(self.cluster.objects.items())
            if plural == r.ACTIONSGATEWAYS.plural
            and labels.CONTAINED in (manifest["metadata"].get("annotations") or {})
        ]

    def end_state(self) -> dict[str, Any]:
        """What stands of all this, apart from times and who did it."""
        return {
            "contained": self.contained(),
            "secrets": {
                f"{where}/{name}": manifest["data"]
                for (plural, where, name), manifest in self.cluster.objects.items()
                if plural == r.SECRETS.plural
            },
            "references": {
                where: manifest["spec"]["gitHubAppRef"]["name"]
                for (plural, where, _), manifest in self.cluster.objects.items()
                if plural == r.ACTIONSGATEWAYS.plural
            },
            "suspended": sorted(self.gw.app.suspended),
            "steps": self.states,
        }


def after_writes(cluster: ClusterDouble, app: AppDouble, happens: Callable[[int], None]) -> None:
    """Has `happens` hear of each write that stands, with its number."""
    count = 0

    def heard() -> None:
        nonlocal count
        count += 1
        happens(count)

    for verb in ("create", "patch", "delete"):
        original = getattr(cluster, verb)

        async def heard_write(*arguments: Any, write: Any = original, **options: Any) -> Any:
            result = await write(*arguments, **options)
            if not options.get("dry_run"):
                heard()
            return result

        setattr(cluster, verb, heard_write)
    app.on_call = heard
