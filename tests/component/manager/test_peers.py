"""What the platform names as API server and resolvers, in the tenants' policies on both API servers."""

from dataclasses import replace
from functools import partial
from typing import Any

from actions_gateway.api.egress import PlatformEgress, parse_dns_peers
from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from actions_gateway.kube.resources import NETWORKPOLICIES
from support.aio import run
from support.apiserver import Play
from support.manager_objects import SETTINGS, gateway
from support.manager_rig import tenant_of

Manifest = dict[str, Any]

POLICIES = (PROXY, WORKLOAD_POLICY, AGENT)
NAMED = PlatformEgress(
    api_server=("192.0.2.0/28", "2001:db8::10/128"), dns=parse_dns_peers("cluster,10.96.0.10,2001:db8::53")
)


def test_peers_that_somebody_widens_are_narrowed_again_and_a_manager_without_them_opens_them(play: Play) -> None:
    async def main() -> None:
        async with tenant_of(play) as rig:
            async with rig.manager(replace(SETTINGS, egress=NAMED)):
                await rig.create(gateway(namespace=rig.space))
                for name in POLICIES:
                    stored = await rig.until(NETWORKPOLICIES, name, is_narrow)
                    first, *rest = rules = stored["spec"]["egress"]
                    for widened in ([{"ports": first["ports"]}, *rest], [*rules, {"to": first["to"]}]):
                        await rig.patch(NETWORKPOLICIES, name, {"spec": {"egress": widened}})
                        await rig.until(NETWORKPOLICIES, name, partial(has, rules))
            async with rig.manager():
                for name in POLICIES:
                    await rig.until(NETWORKPOLICIES, name, lambda live: not is_narrow(live))

    run(main())


def is_narrow(policy: Manifest) -> bool:
    """Whether no rule opens a port to any address."""
    return all(rule.get("to") for rule in policy["spec"]["egress"])


def has(rules: list[Manifest], policy: Manifest) -> bool:
    return bool(policy["spec"]["egress"] == rules)
