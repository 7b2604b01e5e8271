"""Prometheus behind a real API server's proxy: what it says when nobody is there, and which rights it asks for."""

import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from gw.sources.endpoints import NoAnswer
from gw.sources.places import Endpoints, Sources
from support.aio import Looks
from support.apiserver import Api, Play

EMBEDDED_LACKS = "the embedded server is no proxy for Services"
READER = "services-reader"


async def refusal(client: KubeClient, namespace: str | None) -> NoAnswer:
    """How asking the Prometheus that is found ends."""
    with pytest.raises(NoAnswer) as caught:
        async with Endpoints(Sources(), client, namespace) as endpoints:
            await (await endpoints.prometheus()).document("/api/v1/status/buildinfo")
    return caught.value


async def put_service(api: Api, **selector: str) -> None:
    labels = {"app.kubernetes.io/name": "prometheus"}
    spec = {"ports": [{"name": "web", "port": 9090}], "selector": selector}
    await api.create("~/services", {"metadata": {"name": "prometheus", "labels": labels}, "spec": spec})


@pytest.mark.real_only(EMBEDDED_LACKS)
@pytest.mark.parametrize("selector", [{}, {"app": "prometheus"}], ids=["without a selector", "whose pods are gone"])
def test_a_service_without_pods_is_down(play: Play, selector: dict[str, str]) -> None:
    async def scenario(api: Api) -> None:
        await put_service(api, **selector)
        async with api.client() as client:
            looks = Looks()
            silence = await refusal(client, api.namespace)
            while selector and "no endpoints available" not in silence.reason:
                await looks.pause()
                silence = await refusal(client, api.namespace)
        assert silence.is_down
        assert f"the Service {api.namespace}/prometheus:9090" in silence.reason
        assert "endpoints" in silence.reason

    play(scenario)


@pytest.mark.real_only(EMBEDDED_LACKS)
def test_a_tenants_people_are_told_which_right_they_lack(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await put_service(api)
        async with api.client() as admin:
            token = await admin.create_token("default", api.namespace)
            async with api.client(token=token) as client:
                listing = await refusal(client, api.namespace)
                assert listing.is_forbidden
                assert 'cannot list resource "services"' in listing.reason
                rules = [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]
                await admin.create(r.ROLES, {"metadata": {"name": READER}, "rules": rules}, namespace=api.namespace)
                binding = {
                    "metadata": {"name": READER},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": READER},
                    "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": api.namespace}],
                }
                await admin.create(r.ROLEBINDINGS, binding, namespace=api.namespace)
                looks = Looks()
                while 'resource "services" ' in (found := await refusal(client, api.namespace)).reason:
                    await looks.pause()
        assert found.is_forbidden
        assert 'cannot get resource "services/proxy"' in found.reason
        assert f"the right to get services/proxy in {api.namespace}" in found.next_step

    play(scenario)
