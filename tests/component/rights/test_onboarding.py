"""The runbook's five steps of "Adding a Tenant", by a person who holds nothing but gw-tenant in one namespace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionType, Reason, find_condition
from actions_gateway.api.names import AGENT, TENANT_ROLE
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, PODS
from actions_gateway.settings import TenantNamespaces
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.commands import Answer
from support.components import require_kubectl
from support.installed import gateway_in, install, refusal, until_refused, user_subject
from support.kubectl import kubectl

from .site import APP_SECRET, Site, site

GROUPS = [
    {
        "name": "gpu-runners",
        "runnerLabels": ["self-hosted", "gpu"],
        "maxListeners": 5,
        "priorityTiers": [
            {"priorityClassName": "runner-critical", "threshold": 2},
            {"priorityClassName": "runner-standard", "threshold": 5},
        ],
    },
    {"name": "cpu-runners", "runnerLabels": ["self-hosted", "linux"], "maxListeners": 10},
]
"""The runner groups of the getting-started example."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A person with a kubeconfig, a folder of files, and one namespace."""

    name: str
    kubeconfig: Path
    folder: Path
    namespace: str

    async def kubectl(self, *words: str) -> str:
        """Standard output of a command that has to succeed."""
        answer = await kubectl(self.kubeconfig, *words)
        assert answer.code == 0, answer
        return answer.out

    async def refused(self, *words: str) -> Answer:
        """A command that has to fail for want of a right."""
        answer = await kubectl(self.kubeconfig, *words)
        assert answer.code == 1, answer
        assert "forbidden" in answer.err
        return answer

    def file(self, name: str, text: str) -> str:
        """A file of the tenant's; its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    async def create_secret(self) -> None:
        """Step 2: the App's credentials, as the getting-started page creates them."""
        await self.kubectl(
            *("create", "secret", "generic", "github-app-v1", "-n", self.namespace),
            f"--from-literal=appId={APP_SECRET['appId']}",
            f"--from-literal=installationId={APP_SECRET['installationId']}",
            f"--from-file=privateKey={self.file('app.pem', APP_SECRET['privateKey'])}",
        )

    async def create_gateway(self, place: Site) -> None:
        """Step 3: the ActionsGateway, with the certificate authority of the simulated GitHub beside it."""
        authority = f"--from-file=ca.crt={place.ca}"
        await self.kubectl("create", "configmap", "github-ca", "-n", self.namespace, authority)
        reference = {"name": "github-ca"}
        manifest = gateway_in(self.namespace, gitHubURL=place.url, caBundleRef=reference, runnerGroups=GROUPS)
        await self.kubectl("apply", "-f", self.file("gateway.yaml", yaml.safe_dump(manifest)))

    async def until_ready(self) -> None:
        """Step 5."""
        words = ("--for=condition=Ready", "actionsgateway/ci", "-n", self.namespace, "--timeout=150s")
        assert "condition met" in await self.kubectl("wait", *words)


@asynccontextmanager
async def tenant(place: Site, folder: Path) -> AsyncIterator[Tenant]:
    """Someone for whom the platform made a namespace and bound gw-tenant there, and nothing else."""
    async with place.as_.namespace() as namespace:
        name = f"tenant-of-{namespace}"
        await place.as_.bind(TENANT_ROLE, namespace, user_subject(name))
        async with place.as_.user(name) as client:
            await place.as_.until_allowed(client, "create", ACTIONSGATEWAYS, namespace)
        yield Tenant(name, place.as_.plane.kubeconfig_for(name), folder, namespace)


def test_five_steps_lead_to_a_ready_gateway_that_runs_jobs(plane: ControlPlane, tmp_path: Path) -> None:
    require_kubectl()

    async def main() -> None:
        async with site(plane, tmp_path) as place, place.running(), tenant(place, tmp_path) as ada:
            ours = ("-n", ada.namespace)
            assert "Active" in await ada.kubectl("get", "namespace", ada.namespace)
            await ada.create_secret()
            await ada.create_gateway(place)
            await ada.until_ready()
            provisioned = await ada.kubectl("get", "deploy,sa,networkpolicy,rolebinding,rg", "-o", "name", *ours)
            assert {
                f"deployment.apps/{AGENT}",
                f"serviceaccount/{AGENT}",
                "serviceaccount/actions-gateway-worker",
                "networkpolicy.networking.k8s.io/actions-gateway-workload",
                f"rolebinding.rbac.authorization.k8s.io/{AGENT}",
                "runnergroup.actions-gateway.github.com/ci-gpu-runners",
                "runnergroup.actions-gateway.github.com/ci-cpu-runners",
            } <= set(provisioned.split())
            async with place.workers(ada.namespace):
                core = place.simulator.core
                jobs = [core.enqueue(["self-hosted", wanted], name=wanted) for wanted in ("gpu", "linux")]
                await place.until_done(jobs)
            assert {job.conclusion for job in jobs} == {"success"}
            # The manager marked the namespace: no administrator had to.
            found = await place.as_.admin.get(NAMESPACES, ada.namespace)
            assert found["metadata"]["labels"][labels.TENANT] == "true"

    run(main())


def test_the_secret_may_come_after_the_gateway(plane: ControlPlane, tmp_path: Path) -> None:
    require_kubectl()

    async def main() -> None:
        async with site(plane, tmp_path) as place, place.running(), tenant(place, tmp_path) as ada:
            await ada.create_gateway(place)
            await place.until_ready(ada.namespace, status="False")
            await ada.create_secret()
            # A kubelet renews mounts within its sync period; here the pod that comes next has the new files.
            for pod in (await place.as_.admin.list(PODS, ada.namespace)).items:
                await place.as_.admin.delete(PODS, pod["metadata"]["name"], namespace=ada.namespace)
            await ada.until_ready()

    run(main())


def test_where_the_platform_marks_namespaces_itself_the_gateway_says_what_it_waits_for(
    plane: ControlPlane, tmp_path: Path
) -> None:
    require_kubectl()

    async def main() -> None:
        await install(plane, tenant_namespaces=TenantNamespaces.MARKED)
        try:
            async with (
                site(plane, tmp_path) as place,
                place.running(TenantNamespaces.MARKED),
                tenant(place, tmp_path) as ada,
            ):
                await ada.create_secret()
                await ada.create_gateway(place)
                gateway = await place.until_ready(ada.namespace, status="False")
                ready = find_condition(gateway, ConditionType.READY)
                assert ready is not None
                assert ready["reason"] == Reason.NAMESPACE_NOT_MARKED
                assert f"kubectl label --overwrite namespace {ada.namespace}" in ready["message"]
                await _assert_the_manager_cannot_mark(place, ada.namespace)
                await place.as_.label(ada.namespace, "tenant", "true")
                await ada.until_ready()
        finally:
            await install(plane)

    run(main())


async def _assert_the_manager_cannot_mark(place: Site, namespace: str) -> None:
    mark = {"metadata": {"labels": {labels.TENANT: "true"}}}
    async with place.as_.manager() as manager:
        said = await until_refused(lambda: manager.patch(NAMESPACES, namespace, mark, dry_run=True))
    assert "is the platform's to change" in said


def test_a_tenants_rights_end_at_its_namespace(plane: ControlPlane, tmp_path: Path) -> None:
    require_kubectl()

    async def main() -> None:
        async with site(plane, tmp_path) as place, tenant(place, tmp_path) as ada, place.as_.namespace() as other:
            # Reading a namespace is a request inside of it, so that a RoleBinding there is enough, and no more.
            await ada.kubectl("get", "namespace", ada.namespace)
            for words in (
                ("get", "namespaces"),
                ("get", "namespace", other),
                ("get", "secrets", "-n", other),
                ("get", "ag", "-A"),
                ("label", "namespace", ada.namespace, f"{labels.PRIVILEGED_PROFILE}=allowed"),
                ("annotate", "namespace", ada.namespace, f"{labels.ALLOW_DOWNGRADE}=true"),
                ("create", "rolebinding", "x", "--clusterrole=admin", "--user=ada", "-n", ada.namespace),
                ("create", "quota", "mine", "--hard=pods=99", "-n", ada.namespace),
                ("run", "x", "--image=x", "-n", ada.namespace),
            ):
                await ada.refused(*words)

    run(main())


def test_a_tenant_of_the_built_in_roles_gets_a_gateway_too(plane: ControlPlane, tmp_path: Path) -> None:
    async def main() -> None:
        async with site(plane, tmp_path) as place, place.as_.namespace() as namespace:
            for role, may in (("view", False), ("edit", True), ("admin", True)):
                name = f"{role}-of-{namespace}"
                await place.as_.bind(role, namespace, user_subject(name))
                async with place.as_.user(name) as person:
                    # The built-in roles collect the rules of others in their controller's own time.
                    await place.as_.until_allowed(person, "create" if may else "list", ACTIONSGATEWAYS, namespace)
                    create = person.create(ACTIONSGATEWAYS, gateway_in(namespace), dry_run=True)
                    if may:
                        await create
                    else:
                        assert 'cannot create resource "actionsgateways"' in await refusal(create)

    run(main())


@pytest.mark.parametrize("role", ["gw-viewer", "gw-oncall"])
def test_no_role_of_people_for_the_whole_cluster_reads_a_secret(role: str, plane: ControlPlane, tmp_path: Path) -> None:
    require_kubectl()

    async def main() -> None:
        name = f"{role}-person"
        async with (
            site(plane, tmp_path) as place,
            place.as_.user(name) as person,
            place.as_.bound_everywhere(role, user_subject(name)),
        ):
            await place.as_.until_allowed(person, "list", ACTIONSGATEWAYS, "default")
            kubeconfig = plane.kubeconfig_for(name)
            for words in (("secrets", "-A"), ("secret", "github-app-v1", "-n", "default")):
                answer = await kubectl(kubeconfig, "get", *words)
                assert answer.code == 1
                assert "Forbidden" in answer.err
            wanted = "ag,rg,pods,deploy,netpol,quota,hpa,pdb,events,rolebindings,sa"
            assert (await kubectl(kubeconfig, "get", wanted, "-A")).code == 0
            cluster = "nodes,namespaces,crds,priorityclasses,clusterroles,validatingadmissionpolicies"
            assert (await kubectl(kubeconfig, "get", cluster, "-o", "name")).code == 0

    run(main())
