"""Practises an incident in a sandbox of its own, in which gw plays the people's part as well.

Apart from the other operations of incidents, since these know no sandbox.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.engine.clock import Clock
from actions_gateway.github.app import AppCredentials, parse_credentials
from actions_gateway.github.secrets import Secret
from gw.errors import Refused
from gw.ops.changes.carrying import Manner
from gw.ops.incidents.engine import IncidentConversation
from gw.ops.incidents.handling import IncidentOrder, MakeSite, handle
from gw.ops.keys.credentials import LookUp
from gw.ops.onboarding.add import AddTenant, add_tenant
from gw.ops.onboarding.request import TenantWishes, check_wishes
from gw.ops.sandbox import START_SECONDS, STOP_SECONDS, parse_setup, simulator_of, start_sandbox, stop_sandbox
from gw.sources.appcontrol import AppControl
from gw.sources.cluster import Cluster
from gw.sources.incidents import Incident, IncidentKind, gather_incidents
from gw.sources.installation import InstallationQuery
from gw.sources.sandbox import SandboxFact
from gw.sources.simulator import Simulator
from gw_alerts.scaling import Pace

TENANTS = ("team-a", "team-b")
_GROUP = "linux labels=self-hosted,linux maxListeners=1"

Play = Callable[[str], Awaitable[None]]
"""Does the person's part of the step of that id."""


@contextmanager
def drill_ground() -> Iterator[SandboxFact]:
    """A sandbox in a temporary folder; nothing of it is left afterwards. Raises GwError.

    Blocks while it starts and stops, as `gw sandbox` does, so that an interrupt takes back what was begun.
    """
    with tempfile.TemporaryDirectory(prefix="gw-incident-drill-") as base:
        folder = Path(base) / "sandbox"
        setup = parse_setup("embedded", is_bare=False)
        sandbox = start_sandbox(folder, setup=setup, pace=Pace(), owner_pid=os.getpid(), timeout_seconds=START_SECONDS)
        try:
            yield sandbox
        finally:
            stop_sandbox(folder, timeout_seconds=STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class DrillTools:
    """What a drill works with beside its sandbox."""

    open_cluster: Callable[[], AbstractAsyncContextManager[Cluster]]
    look_up: LookUp
    github: AppControl
    clock: Clock
    conversation: IncidentConversation
    timeout_seconds: float


async def practise(
    kind: IncidentKind,
    sandbox: SandboxFact,
    tools: DrillTools,
    make_site: Callable[[IncidentOrder], MakeSite],
    plays: Callable[[Play], None],
) -> Incident:
    """The closed incident; raises GwError. `plays` is told who does the person's part."""
    for name in TENANTS if kind is IncidentKind.KEY_COMPROMISE else TENANTS[:1]:
        await _add_tenant(name, sandbox, tools)
    async with simulator_of(sandbox) as simulator:
        person = _Person(sandbox, simulator, tools.github)
        plays(person.do)
        order = IncidentOrder(
            kind=kind,
            namespace=None if kind is IncidentKind.MANAGER_FAILURE else TENANTS[0],
            note="this is a drill in a sandbox",
        )
        return await _carry_on(order, tools, make_site, person)


async def _carry_on(
    order: IncidentOrder, tools: DrillTools, make_site: Callable[[IncidentOrder], MakeSite], person: "_Person"
) -> Incident:
    """Goes on with the new key once the procedure waits for one, as a person would with --resume."""
    async with tools.open_cluster() as cluster:
        try:
            return await _handle(cluster, order, tools, make_site)
        except Refused:
            known = await gather_incidents(cluster)
            waiting = next((each for each in known.open if each.next_step and each.next_step.id == "new-key"), None)
            if waiting is None:
                raise
        key = await person.make_key()
        resumed = replace(order, resume=waiting.name, namespace=None, note="", new_key=key)
        return await _handle(cluster, resumed, tools, make_site)


async def _handle(
    cluster: Cluster, order: IncidentOrder, tools: DrillTools, make_site: Callable[[IncidentOrder], MakeSite]
) -> Incident:
    return await handle(cluster, order, make_site(order), clock=tools.clock, conversation=tools.conversation)


async def _add_tenant(name: str, sandbox: SandboxFact, tools: DrillTools) -> None:
    request = check_wishes(
        TenantWishes(
            namespace=name,
            app_id=str(sandbox.app_id),
            installation_id=str(sandbox.installation_id),
            private_key_file=sandbox.app_key_path,
            github_url=f"{sandbox.github_url}/{sandbox.repository}",
            ca_bundle_file=sandbox.ca_path,
            runner_groups=[_GROUP],
        )
    )
    await add_tenant(
        AddTenant(request, timeout_seconds=tools.timeout_seconds, manner=Manner(yes=True)),
        open_cluster=tools.open_cluster,
        look_up=tools.look_up,
        clock=tools.clock,
        conversation=tools.conversation,
    )


class _Person:
    """Does at the simulated GitHub what the App's owner does in its settings."""

    def __init__(self, sandbox: SandboxFact, simulator: Simulator, github: AppControl) -> None:
        self._sandbox = sandbox
        self._simulator = simulator
        self._github = github

    async def do(self, step_id: str) -> None:
        """The part of one step; those without one are only looked at."""
        match step_id:
            case "suspend":
                url = f"{self._sandbox.github_url}/{self._sandbox.repository}"
                await self._github.suspend(InstallationQuery(url, self._old(), self._sandbox.ca_path))
            case "revoke":
                fingerprint = quote(self._old().key_fingerprint, safe="")
                await self._simulator.control("DELETE", f"{self._keys}?fingerprint={fingerprint}")

    async def make_key(self) -> Secret:
        """A new key of the App, as its owner downloads it."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        await self._simulator.control("POST", self._keys, {"public_key": public})
        return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())

    @property
    def _keys(self) -> str:
        return f"/apps/{self._sandbox.app_id}/keys"

    def _old(self) -> AppCredentials:
        return parse_credentials(
            app_id=str(self._sandbox.app_id),
            installation_id=str(self._sandbox.installation_id),
            private_key=self._sandbox.app_key_path.read_text(),
        )
