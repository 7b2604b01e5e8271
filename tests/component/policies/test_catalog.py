"""The policies as the real server takes them."""

from actions_gateway.installation.policies.catalog import policies
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import ADMISSIONPOLICIES
from actions_gateway.settings import TenantNamespaces
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.installed import callers


def test_the_servers_type_check_has_no_warning_about_any_of_them(installed: ControlPlane) -> None:
    async def main() -> None:
        async with callers(installed) as as_:
            for policy in policies(TenantNamespaces.ANY):

                def is_checked(found: Manifest) -> bool:
                    return "typeChecking" in (found.get("status") or {})

                found = await as_.until(ADMISSIONPOLICIES, policy.name, None, is_checked)
                assert found["status"]["typeChecking"] == {}, policy.name

    run(main())
