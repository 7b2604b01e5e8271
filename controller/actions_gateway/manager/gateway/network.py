"""NetworkPolicies of a tenant: nothing comes in but scrapes, nothing goes out but DNS, HTTPS and the API server.

Agent and workers are both workload. They reach public addresses on 443 directly, and on the port that `gitHubURL`
names; an egress proxy in the tenant's namespace narrows this to named hosts once it exists.
"""

from urllib.parse import urlsplit

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, WORKLOAD_POLICY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager.gateway.ownership import build_child
from actions_gateway.manifests.netpolicy import from_monitoring, policy_spec, tcp, to_api_server, to_dns

HTTPS_PORT = 443
PRIVATE_IPV4 = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918, shared address space (RFC 6598), loopback, and link-local with the clouds' metadata services (RFC 3927)."""
PRIVATE_IPV6 = ("::1/128", "fc00::/7", "fe80::/10")


def build_workload_policy(gateway: Manifest, spec: ActionsGatewaySpec) -> Manifest:
    """What agent and workers may do: DNS, and HTTPS to anything but private and link-local ranges; no ingress."""
    ports = sorted({HTTPS_PORT, urlsplit(spec.git_hub_url).port or HTTPS_PORT})
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_IPV4)}},
        {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_IPV6)}},
    ]
    rules = [to_dns(), {"to": public, "ports": [tcp(port) for port in ports]}]
    selector = {labels.COMPONENT: labels.WORKLOAD}
    return build_child(gateway, NETWORKPOLICIES, WORKLOAD_POLICY, spec=policy_spec(selector, ingress=[], egress=rules))


def build_agent_policy(gateway: Manifest) -> Manifest:
    """What the agent may do beyond that: reach the API server, and be scraped from namespaces that watch."""
    spec = policy_spec({labels.APP: AGENT}, ingress=[from_monitoring()], egress=[to_api_server()])
    return build_child(gateway, NETWORKPOLICIES, AGENT, spec=spec)
