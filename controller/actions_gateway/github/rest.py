"""The REST API: installation tokens, runners, and the reads that checks need.

Source: GitHub REST docs, API version 2022-11-28. Nothing is retried here. A call with a token that GitHub refuses
raises Unauthorized, upon which the token's owner mints a new one. Calls in the installation's name wait for their turn
in its budgets.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import Answer, RateLimit, rate_limit_of, throttle_seconds
from actions_gateway.github.app import AppCredentials, app_jwt
from actions_gateway.github.budgets import READ_POINTS, WRITE_POINTS, Budgets, Charge, Priority
from actions_gateway.github.classification import (
    SECONDARY_LIMIT_SECONDS,
    deletion_error,
    registration_error,
    rest_error,
)
from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import RegistrationUnusable
from actions_gateway.github.http import Api, Endpoint, GitHubHttp
from actions_gateway.github.jit import parse_jit_config
from actions_gateway.github.restmodels import (
    Installation,
    InstallationToken,
    Registration,
    Runner,
    parse_installation,
    parse_installation_token,
    parse_runner,
)
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import GitHubScope

API_VERSION = "2022-11-28"
_DEFAULT_RUNNER_GROUP = 1
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
_PAGE_SIZE = 100
_MOST_PAGES = 100


class GitHubRest:
    """REST calls for one scope; every method raises GitHubError. Without `budgets` nothing waits: a person does."""

    def __init__(self, http: GitHubHttp, scope: GitHubScope, clock: Clock, budgets: Budgets | None = None) -> None:
        self._http = http
        self._scope = scope
        self._clock = clock
        self._budgets = budgets
        self._rate_limits: dict[str, RateLimit] = {}

    @property
    def rate_limit(self) -> RateLimit | None:
        """The installation's budget of which the smallest part is left, as last seen; None before the first answer."""
        now = self._clock.now()
        seen = list(self._rate_limits.values())
        current = [budget for budget in seen if budget.reset_at > now] or seen
        return min(current, key=lambda budget: budget.remaining / max(budget.limit, 1), default=None)

    # -- as the App ------------------------------------------------------------------------------------------------

    async def mint_token(self, credentials: AppCredentials) -> InstallationToken:
        """A new installation token; raises Unauthorized, ClockSkewed, NotFound or Suspended for bad credentials."""
        path = f"/app/installations/{credentials.installation_id}/access_tokens"
        answer = await self._send(Endpoint.TOKEN, "POST", path, self._jwt(credentials))
        if not answer.is_success:
            raise rest_error(answer, "mint an installation token")
        return parse_installation_token(answer.fields())

    async def get_installation(self, credentials: AppCredentials) -> Installation:
        """The installation as the App sees it: account, permissions, suspension."""
        path = f"/app/installations/{credentials.installation_id}"
        answer = await self._send(Endpoint.OTHER, "GET", path, self._jwt(credentials))
        if not answer.is_success:
            raise rest_error(answer, "show the installation")
        return parse_installation(answer.fields())

    async def suspend_installation(self, credentials: AppCredentials) -> None:
        """Keeps the App out of the account, tokens that it has included, until that is lifted; once more is fine.

        Source: GitHub REST docs, "Suspend an app installation" and "Unsuspend an app installation": 204, App JWT only.
        """
        await self._set_suspended(credentials, "PUT", "suspend the installation")

    async def unsuspend_installation(self, credentials: AppCredentials) -> None:
        """Lets the App into the account again; fine when it is."""
        await self._set_suspended(credentials, "DELETE", "lift the installation's suspension")

    async def _set_suspended(self, credentials: AppCredentials, method: str, action: str) -> None:
        path = f"/app/installations/{credentials.installation_id}/suspended"
        answer = await self._send(Endpoint.OTHER, method, path, self._jwt(credentials))
        if not answer.is_success:
            raise rest_error(answer, action)

    # -- as the installation ---------------------------------------------------------------------------------------

    async def revoke_token(self, token: Secret) -> None:
        """Ends an installation token before its time; one that is no longer valid is fine."""
        answer = await self._send(Endpoint.TOKEN, "DELETE", "/installation/token", token)
        if not answer.is_success and answer.status != 401:
            raise rest_error(answer, "revoke the installation token")

    async def generate_jit_config(
        self,
        token: Secret,
        name: str,
        labels: Sequence[str],
        charge: Charge | None = None,
    ) -> Registration:
        """Registers a runner for one job, with the turn that `charge` stands for; GitHub adds no label of its own.

        Raises NameTaken; RegistrationUnusable with the id of the record that exists all the same. After a Transient
        error the record may exist, too.
        """
        body = {"name": name, "runner_group_id": _DEFAULT_RUNNER_GROUP, "labels": list(labels), "work_folder": "_work"}
        path = f"{self._scope.runners_path}/generate-jitconfig"
        answer = await self._charged(Endpoint.REGISTER, "POST", path, token, body=body, charge=charge)
        if not answer.is_success:
            raise registration_error(answer)
        return _registration(answer.fields())

    async def list_runners(self, token: Secret, *, name: str = "") -> list[Runner]:
        """All runners of the scope; with `name`, those whose names GitHub finds similar."""
        runners: list[Runner] = []
        for page in range(1, _MOST_PAGES + 1):
            query = {"per_page": str(_PAGE_SIZE), "page": str(page)} | ({"name": name} if name else {})
            path, endpoint = self._scope.runners_path, Endpoint.LIST_RUNNERS
            fields = await self.read(path, token, "list the runners", query, endpoint=endpoint)
            found = [parse_runner(entry) for entry in fields.objects("runners")]
            runners += found
            if len(found) < _PAGE_SIZE:
                break
        return runners

    async def delete_runner(self, token: Secret, runner_id: int) -> bool:
        """Whether this call removed the record (False: it was gone); raises RunnerBusy while its job is unconcluded."""
        answer = await self._charged(Endpoint.DELETE_RUNNER, "DELETE", f"{self._scope.runners_path}/{runner_id}", token)
        if answer.status == 404:
            return False
        if not answer.is_success:
            raise deletion_error(answer)
        return True

    # -- transport -------------------------------------------------------------------------------------------------

    def _jwt(self, credentials: AppCredentials) -> Secret:
        return app_jwt(credentials, self._clock.now())

    async def read(
        self,
        path: str,
        token: Secret,
        action: str,
        query: Mapping[str, str] | None = None,
        *,
        endpoint: Endpoint = Endpoint.OTHER,
        priority: Priority = Priority.ROUTINE,
    ) -> Fields:
        """The answer to a GET; `action` completes "GitHub did not …"."""
        answer = await self._charged(endpoint, "GET", path, token, query=query, priority=priority)
        if not answer.is_success:
            raise rest_error(answer, action)
        return answer.fields()

    async def post(self, path: str, token: Secret, *, endpoint: Endpoint, priority: Priority) -> Answer:
        """The answer to a POST without a body, whatever its status."""
        return await self._charged(endpoint, "POST", path, token, priority=priority)

    async def _charged(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        token: Secret,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        priority: Priority = Priority.ROUTINE,
        charge: Charge | None = None,
    ) -> Answer:
        """A call that the installation's budgets pay for."""
        points = READ_POINTS if method == "GET" else WRITE_POINTS
        turn = self._budgets.spend(points, priority, charge=charge) if self._budgets else nullcontext()
        async with turn:
            answer = await self._send(endpoint, method, path, token, query=query, body=body)
        if (budget := rate_limit_of(answer)) is not None:
            self._rate_limits[budget.resource] = budget
        if self._budgets is not None:
            self._budgets.saw(self.rate_limit)
            if (wait_seconds := throttle_seconds(answer, default_seconds=SECONDARY_LIMIT_SECONDS)) is not None:
                self._budgets.refused(wait_seconds)
        return answer

    async def _send(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        token: Secret,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        url = self._scope.api_base + quote(path)
        return await self._http.send(
            Api.REST, method, url, endpoint=endpoint, token=token, headers=_HEADERS, query=query, body=body
        )


def _registration(fields: Fields) -> Registration:
    runner, blob = fields.fields("runner"), fields.text("encoded_jit_config")
    runner_id, unusable = runner.number("id"), None
    try:
        jit = parse_jit_config(blob)
    except RegistrationUnusable as problem:
        unusable = problem
    else:
        return Registration(
            jit.agent_id if runner_id is None else runner_id, runner.text("name") or jit.agent_name, jit
        )
    unusable.runner_id = runner_id
    raise unusable
