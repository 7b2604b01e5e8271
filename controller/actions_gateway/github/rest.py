"""The REST API: installation tokens, runners, and the reads that checks need.

Source: GitHub REST docs, API version 2022-11-28. Nothing is retried here. A call with a token that GitHub refuses
raises Unauthorized, upon which the token's owner mints a new one.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import Answer, RateLimit, rate_limit_of
from actions_gateway.github.app import AppCredentials, app_jwt
from actions_gateway.github.classification import deletion_error, registration_error, rest_error
from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import RegistrationUnusable
from actions_gateway.github.http import Api, GitHubHttp
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
    """REST calls for one scope; every method raises GitHubError."""

    def __init__(self, http: GitHubHttp, scope: GitHubScope, clock: Clock) -> None:
        self._http = http
        self._scope = scope
        self._clock = clock
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
        answer = await self._send("POST", path, self._jwt(credentials))
        if not answer.is_success:
            raise rest_error(answer, "mint an installation token")
        return parse_installation_token(answer.fields())

    async def get_installation(self, credentials: AppCredentials) -> Installation:
        """The installation as the App sees it: account, permissions, suspension."""
        path = f"/app/installations/{credentials.installation_id}"
        return parse_installation(await self._read(path, self._jwt(credentials), "show the installation"))

    # -- as the installation ---------------------------------------------------------------------------------------

    async def revoke_token(self, token: Secret) -> None:
        """Ends an installation token before its time; one that is no longer valid is fine."""
        answer = await self._send("DELETE", "/installation/token", token)
        if not answer.is_success and answer.status != 401:
            raise rest_error(answer, "revoke the installation token")

    async def generate_jit_config(
        self,
        token: Secret,
        name: str,
        labels: Sequence[str],
    ) -> Registration:
        """Registers a runner for one job; GitHub adds no label of its own.

        Raises NameTaken; RegistrationUnusable with the id of the record that exists all the same. After a Transient
        error the record may exist, too.
        """
        body = {"name": name, "runner_group_id": _DEFAULT_RUNNER_GROUP, "labels": list(labels), "work_folder": "_work"}
        path = f"{self._scope.runners_path}/generate-jitconfig"
        answer = await self._send("POST", path, token, body=body)
        self._remember(answer)
        if not answer.is_success:
            raise registration_error(answer)
        return _registration(answer.fields())

    async def list_runners(self, token: Secret, *, name: str = "") -> list[Runner]:
        """All runners of the scope; with `name`, those whose names GitHub finds similar."""
        runners: list[Runner] = []
        for page in range(1, _MOST_PAGES + 1):
            query = {"per_page": str(_PAGE_SIZE), "page": str(page)} | ({"name": name} if name else {})
            fields = await self._read(self._scope.runners_path, token, "list the runners", query)
            found = [parse_runner(entry) for entry in fields.objects("runners")]
            runners += found
            if len(found) < _PAGE_SIZE:
                break
        return runners

    async def delete_runner(self, token: Secret, runner_id: int) -> bool:
        """Whether this call removed the record (False: it was gone); raises RunnerBusy while its job is unconcluded."""
        answer = await self._send("DELETE", f"{self._scope.runners_path}/{runner_id}", token)
        self._remember(answer)
        if answer.status == 404:
            return False
        if not answer.is_success:
            raise deletion_error(answer)
        return True

    # -- transport -------------------------------------------------------------------------------------------------

    def _jwt(self, credentials: AppCredentials) -> Secret:
        return app_jwt(credentials, self._clock.now())

    async def _read(self, path: str, token: Secret, action: str, query: Mapping[str, str] | None = None) -> Fields:
        answer = await self._send("GET", path, token, query=query)
        self._remember(answer)
        if not answer.is_success:
            raise rest_error(answer, action)
        return answer.fields()

    async def _send(
        self, method: str, path: str, token: Secret, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        url = self._scope.api_base + quote(path)
        return await self._http.send(Api.REST, method, url, token=token, headers=_HEADERS, query=query, body=body)

    def _remember(self, answer: Answer) -> None:
        budget = rate_limit_of(answer)
        if budget is not None:
            self._rate_limits[budget.resource] = budget


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
