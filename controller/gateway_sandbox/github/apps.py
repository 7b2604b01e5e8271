"""GitHub Apps: real RS256 App JWTs, installations, installation tokens with expiry and permissions, rate-limit budgets.

Source: GitHub REST docs, "Authenticating as a GitHub App", "Permissions required for GitHub Apps", "Rate limits for the
REST API".
"""

import base64
import hashlib
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway_sandbox.github.credentials import OWN_CLOCK
from gateway_sandbox.github.settings import DEFAULT_PERMISSIONS
from gateway_sandbox.github.state import Refused, State, stamp

MAX_APP_JWT_SECONDS = 600
LEVELS = ("none", "read", "write", "admin")
_INSTALLATION = "installation ID"


@dataclass(frozen=True, slots=True)
class App:
    id: int
    client_id: str
    slug: str
    public_keys: dict[str, RSAPublicKey]
    """By fingerprint, as the App's settings page lists them: a new key joins the others until one is deleted."""


@dataclass(slots=True, eq=False)
class Installation:
    id: int
    app: App
    account: str
    permissions: Mapping[str, str]
    repositories: Literal["all"] | Sequence[str]
    suspended_at: datetime | None = None

    def covers(self, repository: str) -> bool:
        owner, _, name = repository.partition("/")
        return owner == self.account and (self.repositories == "all" or name in self.repositories)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one installation token allows."""

    installation: Installation
    permissions: Mapping[str, str]
    repositories: tuple[str, ...] | None
    expires_at: datetime


@dataclass(slots=True)
class Budget:
    """One caller's use of the current hour."""

    limit: int
    resets_at: float
    used: int = 0
    points: deque[tuple[float, int]] = field(default_factory=deque)


class Apps:
    """Who may call the REST API, and how often."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._apps: dict[str, App] = {}
        self.installations: dict[int, Installation] = {}
        self._grants: dict[str, Grant] = {}
        self._budgets: dict[str, Budget] = {}

    def add_app(self, app_id: int, public_key_pem: str, *, client_id: str | None = None, slug: str = "sandbox") -> None:
        """Raises ValueError when the key is not the public half of an RSA key."""
        app = App(app_id, client_id or f"Iv23li{app_id:014d}", slug, _by_fingerprint(public_key_pem))
        self._apps |= {str(app_id): app, app.client_id: app}

    def add_key(self, app_id: int, public_key_pem: str) -> None:
        """One more key; raises KeyError for an unknown App, ValueError as `add_app` does."""
        self._apps[str(app_id)].public_keys.update(_by_fingerprint(public_key_pem))

    def delete_key(self, app_id: int, fingerprint: str) -> None:
        """What it signed is refused from now on, and tokens stay valid; raises KeyError, ValueError for the last one.

        Source: GitHub docs, "Deleting private keys": an App cannot have less than one.
        """
        keys = self._apps[str(app_id)].public_keys
        if set(keys) == {fingerprint}:
            raise ValueError("an App keeps at least one key")
        del keys[fingerprint]

    def keys_of(self, app_id: int) -> list[str]:
        """The fingerprints of an App's keys, oldest first; raises KeyError."""
        return list(self._apps[str(app_id)].public_keys)

    def add_installation(
        self,
        installation_id: int,
        app_id: int,
        *,
        account: str = "octo",
        permissions: Mapping[str, str] | None = None,
        repositories: Literal["all"] | Sequence[str] = "all",
    ) -> None:
        app = self._apps[str(app_id)]
        granted = dict(DEFAULT_PERMISSIONS if permissions is None else permissions)
        self.installations[installation_id] = Installation(installation_id, app, account, granted, repositories)

    def grant(self, installation_id: int, permissions: Mapping[str, str]) -> None:
        """What the installation is permitted from now on; the tokens that it has are void. Raises KeyError."""
        installation = self.installations[installation_id]
        installation.permissions = dict(permissions)
        self._grants = {token: one for token, one in self._grants.items() if one.installation is not installation}

    def forget_tokens(self) -> None:
        self._grants.clear()
        self._budgets.clear()

    def app_of(self, bearer: str | None) -> App:
        """The App that signed this JWT; Refused 401 when the signature, the issuer or the window is wrong."""
        undecodable = Refused(401, {"message": "A JSON web token could not be decoded", "status": "401"})
        if bearer is None:
            raise undecodable
        try:
            app = self._apps.get(str(jwt.decode(bearer, options={"verify_signature": False}).get("iss")))
            if app is None:
                raise Refused(401, {"message": "Integration not found", "status": "401"})
        except jwt.PyJWTError:
            raise undecodable from None
        claims = next((found for key in app.public_keys.values() if (found := _signed_by(key, bearer))), None)
        if claims is None:
            raise undecodable
        self._check_window(claims)
        return app

    def _check_window(self, claims: Mapping[str, Any]) -> None:
        now, skew = self._state.told_time().timestamp(), self._state.settings.jwt_skew_seconds
        issued, expires = claims.get("iat"), claims.get("exp")
        problem = None
        if not isinstance(issued, int | float) or issued > now + skew:
            problem = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        elif not isinstance(expires, int | float) or expires < now - skew:
            problem = "'Expiration time' claim ('exp') must be a numeric value representing the future time"
        elif expires > now + MAX_APP_JWT_SECONDS + skew:
            problem = "'Expiration time' claim ('exp') is too far in the future"
        if problem is not None:
            raise Refused(401, {"message": problem, "status": "401"})

    def installation_of(self, app: App, installation_id: int) -> Installation:
        installation = self.installations.get(installation_id)
        if installation is None or installation.app is not app:
            raise not_found()
        return installation

    def create_token(self, installation: Installation, wish: Mapping[str, Any]) -> dict[str, Any]:
        """The reply of `POST /app/installations/{id}/access_tokens`; `wish` may narrow permissions and repositories."""
        if installation.suspended_at is not None:
            raise Refused(403, {"message": "This installation has been suspended", "status": "403"})
        permissions = dict(wish.get("permissions") or installation.permissions)
        if any(not _covers(installation.permissions.get(name), level) for name, level in permissions.items()):
            raise Refused(422, {"message": "The permissions requested are not granted to this installation."})
        repositories = tuple(wish["repositories"]) if wish.get("repositories") else None
        if any(not installation.covers(f"{installation.account}/{name}") for name in repositories or ()):
            raise Refused(
                422, {"message": "There is at least one repository that does not exist or is not accessible."}
            )
        self._forget_expired()
        token = self._state.new_secret("ghs_")
        expires_at = self._state.later(self._state.settings.installation_token_seconds)
        self._grants[token] = Grant(installation, permissions, repositories, expires_at)
        everything = installation.repositories == "all" and repositories is None
        return {
            "token": token,
            "expires_at": stamp(expires_at),
            "permissions": permissions,
            "repository_selection": "all" if everything else "selected",
        }

    def _forget_expired(self) -> None:
        while self._grants and (oldest := next(iter(self._grants))) and not self._is_valid(self._grants[oldest]):
            del self._grants[oldest]

    def _is_valid(self, grant: Grant) -> bool:
        return grant.expires_at > self._state.clock.now()

    def token_for_job(self, repository: str) -> str:
        """The `github_token` of a job: reads of its repository, as the narrowest default of a workflow."""
        for installation in self.installations.values():
            if installation.covers(repository) and installation.suspended_at is None:
                readable = {
                    name: "read" for name in ("actions", "contents", "metadata") if name in installation.permissions
                }
                wish = {"permissions": readable, "repositories": [repository.partition("/")[2]]}
                return str(self.create_token(installation, wish)["token"])
        return self._state.new_secret("ghs_")

    def revoke(self, bearer: str | None) -> None:
        self._grant(bearer)
        self._grants.pop(bearer or "", None)

    def authorize(self, bearer: str | None, scope: str, permission: str, level: str) -> Grant:
        """The grant behind an installation token that allows `level` of `permission` on an account or repository."""
        grant = self._grant(bearer)
        owner, _, name = scope.partition("/")
        visible = grant.installation.covers(scope) if name else owner == grant.installation.account
        if not visible or (name and grant.repositories is not None and name not in grant.repositories):
            raise not_found()
        if not _covers(grant.permissions.get(permission), level):
            raise Refused(403, {"message": "Resource not accessible by integration", "status": "403"})
        return grant

    def _grant(self, bearer: str | None) -> Grant:
        grant = self._grants.get(bearer or "")
        if grant is None or not self._is_valid(grant):
            raise Refused(401, {"message": "Bad credentials", "status": "401"})
        if grant.installation.suspended_at is not None:
            raise Refused(403, {"message": "This installation has been suspended", "status": "403"})
        return grant

    def budget_of(self, bearer: str | None) -> tuple[str, Budget]:
        """The caller's budget: one per installation, one for App JWTs, one for calls without credentials."""
        settings, now = self._state.settings, self._state.clock.now().timestamp()
        grant = self._grants.get(bearer or "")
        who = f"{_INSTALLATION} {grant.installation.id}" if grant else ("the App" if bearer else "anonymous calls")
        limit = settings.primary_budget if bearer else settings.anonymous_budget
        budget = self._budgets.get(who)
        if budget is None or budget.resets_at <= now:
            budget = self._budgets[who] = Budget(limit, now + settings.budget_window_seconds)
        budget.limit = limit
        return who, budget

    def charge(self, bearer: str | None, method: str) -> None:
        """Counts one REST call; Refused 403 when the hour's calls or, if limited, the minute's points are used up."""
        who, budget = self.budget_of(bearer)
        if self._used(who, budget) >= budget.limit:
            raise Refused(403, {"message": f"API rate limit exceeded for {who}.", "status": "403"})
        budget.used += 1
        allowed = self._state.settings.points_per_minute
        if allowed is None:
            return
        now = self._state.clock.monotonic()
        while budget.points and budget.points[0][0] <= now - 60:
            budget.points.popleft()
        cost = 1 if method in ("GET", "HEAD", "OPTIONS") else 5
        if sum(points for _, points in budget.points) + cost > allowed:
            message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            raise Refused(403, {"message": message, "status": "403"}, {"Retry-After": "60"})
        budget.points.append((now, cost))

    def _used(self, who: str, budget: Budget) -> int:
        is_shared = who.startswith(_INSTALLATION)
        return budget.used + (self._state.settings.budget_spent if is_shared else 0)

    def refund(self, bearer: str | None) -> None:
        """An unchanged answer costs nothing."""
        _, budget = self.budget_of(bearer)
        budget.used = max(0, budget.used - 1)

    def rate_headers(self, bearer: str | None) -> dict[str, str]:
        who, budget = self.budget_of(bearer)
        used = self._used(who, budget)
        return {
            "x-ratelimit-limit": str(budget.limit),
            "x-ratelimit-remaining": str(max(0, budget.limit - used)),
            "x-ratelimit-used": str(min(budget.limit, used)),
            "x-ratelimit-reset": str(math.ceil(budget.resets_at)),
            "x-ratelimit-resource": "core",
        }


def not_found() -> Refused:
    return Refused(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})


def _by_fingerprint(public_key_pem: str) -> dict[str, RSAPublicKey]:
    """The key by what GitHub's settings page shows: the digest of its DER form."""
    key = load_pem_public_key(public_key_pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("an App key is an RSA key")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode(): key}


def _signed_by(key: RSAPublicKey, bearer: str) -> dict[str, Any] | None:
    try:
        claims: dict[str, Any] = jwt.decode(bearer, key, algorithms=["RS256"], options=OWN_CLOCK)
    except jwt.PyJWTError:
        return None
    return claims


def _covers(granted: str | None, wanted: str) -> bool:
    return LEVELS.index(granted or "none") >= LEVELS.index(wanted)
