"""What hand-overs and incidents share: whoever writes a record is named in it, and needs a role for it."""

from actions_gateway.api.names import MANAGER_NAMESPACE, ONCALL_ROLE
from gw.errors import Refused
from gw.sources.cluster import Cluster, asking
from gw.sources.server import who_am_i


async def ask_author(cluster: Cluster, otherwise: str) -> str:
    """The caller as the API server knows them; raises Refused when it does not say: then `otherwise` is the case.

    Who somebody is on their own machine proves nothing.
    """
    with asking("ask who you are"):
        author = (await who_am_i(cluster)).strip()
    if not author:
        raise Refused(
            f"{otherwise}: the API server does not say who you are",
            "See what it says with `kubectl auth whoami`, and use credentials that name a user.",
        )
    return author


def role_step(author: str) -> str:
    """How to get the right to keep records."""
    return (
        f"It takes the Role {ONCALL_ROLE} in {MANAGER_NAMESPACE}: kubectl create rolebinding NAME "
        f"-n {MANAGER_NAMESPACE} --role={ONCALL_ROLE} --user={author}"
    )
