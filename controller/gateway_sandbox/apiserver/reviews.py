"""The reviews that a client POSTs to ask who it or a token is and what it may do.

Authorization is not enforced by this server, so an access review says allowed and tells so in its reason.
Source: Kubernetes API reference (authentication.k8s.io/v1, authorization.k8s.io/v1).
"""

from collections.abc import Mapping

from gateway_sandbox.apiserver.kinds import Json
from gateway_sandbox.apiserver.tokens import Tokens, User

AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
REVIEWS: Mapping[tuple[str, str], str] = {
    (AUTHENTICATION, "tokenreviews"): "TokenReview",
    (AUTHENTICATION, "selfsubjectreviews"): "SelfSubjectReview",
    (AUTHORIZATION, "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
}
"""Group and plural of each review: its kind."""


def answer(group: str, plural: str, body: Json, caller: User, tokens: Tokens, now: str) -> Json:
    """The review with its status; of the three only the one about oneself tells the server's time."""
    kind, made = REVIEWS[group, plural], None
    match kind:
        case "TokenReview":
            user = tokens.user(str((body.get("spec") or {}).get("token", "")))
            known = {"authenticated": True, "user": user.as_json()} if user else None
            status: Json = known or {"user": {}, "error": "invalid bearer token"}
        case "SelfSubjectReview":
            status, made = {"userInfo": caller.as_json()}, now
        case _:
            status = {"allowed": True, "reason": "the embedded sandbox API server does not enforce authorization"}
    typed = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {"creationTimestamp": made}}
    return typed | ({"spec": body["spec"]} if "spec" in body else {}) | {"status": status}
