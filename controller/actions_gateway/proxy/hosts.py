"""Which authorities a tenant may CONNECT to: GitHub's own, its gateway's, its own additions, the platform's exceptions.

Source of GitHub's hosts: GitHub docs "Self-hosted runners reference", "Accessible domains by function" with its list of
wildcard domains; for data residency "Network details for GHE.com". Wildcards, as GitHub itself offers them: the hosts
behind releases, packages and the results service change more often than a release of ours.
"""

from urllib.parse import urlsplit

from actions_gateway.api.gateway import ActionsGatewaySpec

HTTPS_PORT = 443

GITHUB_HOSTS = (
    "github.com",
    "*.github.com",
    "*.githubusercontent.com",
    "ghcr.io",
    # job summaries, logs, artifacts and caches
    "*.blob.core.windows.net",
    # large files
    "github-cloud.s3.amazonaws.com",
    # Dependabot's jobs
    "dependabot-actions.githubapp.com",
    # sign-in with data residency
    "auth.ghe.com",
)


def allowed_hosts(spec: ActionsGatewaySpec) -> tuple[str, ...]:
    """Host names and `*.suffix`es that a tenant reaches on port 443.

    Below the host of `gitHubURL` lie its API and services: api.SUBDOMAIN.ghe.com, *.actions.SUBDOMAIN.ghe.com, and
    those of an Enterprise Server with subdomain isolation.
    """
    own = (urlsplit(spec.git_hub_url).hostname or "").rstrip(".")
    return tuple(sorted({*GITHUB_HOSTS, own, f"*.{own}", *spec.proxy.allowed_hosts}))
