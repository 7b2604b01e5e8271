"""Who calls: static bearer tokens and the signed tokens of service accounts.

Service account tokens are JWTs with the claims of a real cluster, signed with a key that lives as long as the server;
one is accepted while its account exists with the same uid. Source: Kubernetes documentation, "Authenticating".
"""

import random
from dataclasses import dataclass
from datetime import timedelta

import jwt

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.admission import SERVICE_ACCOUNTS
from gateway_sandbox.apiserver.kinds import Json
from gateway_sandbox.apiserver.store import Store, timestamp

_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller."""

    name: str
    groups: tuple[str, ...] = ()

    def as_json(self) -> Json:
        return {"username": self.name, "groups": [*self.groups, "system:authenticated"]}


class Tokens:
    """Knows every valid token."""

    def __init__(self, store: Store, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._key = rng.randbytes(32)
        self._static: dict[str, User] = {}

    def add(self, token: str, user: User) -> None:
        self._static[token] = user

    def issue(self, account: Json, seconds: int) -> tuple[str, str]:
        """A token for a service account and its expiry as a timestamp."""
        metadata, now = account["metadata"], self._clock.now()
        until = now + timedelta(seconds=seconds)
        namespace, name = metadata["namespace"], metadata["name"]
        claims: Json = {"iss": _ISSUER, "aud": [_ISSUER], "sub": f"system:serviceaccount:{namespace}:{name}"}
        claims |= {"iat": int(now.timestamp()), "nbf": int(now.timestamp()), "exp": int(until.timestamp())}
        claims["kubernetes.io"] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": metadata["uid"]}}
        return jwt.encode(claims, self._key, algorithm="HS256"), timestamp(until)

    def user(self, token: str) -> User | None:
        """The caller behind a bearer token; None for an unknown, expired or orphaned one."""
        known = self._static.get(token)
        if known is not None or token.count(".") != 2:
            return known
        try:
            # The server's own clock judges the expiry, so that a test can move it.
            options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
            claims = jwt.decode(token, self._key, algorithms=["HS256"], options=options)  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            return None
        bound = claims["kubernetes.io"]
        namespace, account = bound["namespace"], bound["serviceaccount"]
        record = self._store.get(SERVICE_ACCOUNTS, (namespace, account["name"]))
        is_current = record is not None and record.obj["metadata"]["uid"] == account["uid"]
        if not is_current or claims["exp"] <= self._clock.now().timestamp():
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        return User(claims["sub"], groups)
