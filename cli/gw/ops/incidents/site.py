"""What the steps of a procedure work with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from actions_gateway.engine.clock import Clock
from actions_gateway.github.secrets import Secret
from gw.errors import Refused
from gw.ops.changes.carrying import Manner
from gw.ops.incidents.engine import IncidentConversation
from gw.ops.incidents.journal import Journal
from gw.ops.keys.credentials import check_credentials
from gw.ops.reruns import Conversation as RerunConversation
from gw.sources.appcontrol import AppControl
from gw.sources.cluster import Cluster
from gw.sources.incidents import Incident, Target
from gw.sources.installation import InstallationQuery
from gw.sources.places import Sources


class Restart(Protocol):
    """Starts an agent anew, or the manager for None, and proves it; the sentences are what was seen."""

    async def __call__(self, site: "Site", namespace: str | None) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Site:
    """One procedure's surroundings."""

    cluster: Cluster
    clock: Clock
    journal: Journal
    conversation: IncidentConversation
    manner: Manner
    github: AppControl
    sources: Sources
    restart: Restart
    reruns: RerunConversation
    timeout_seconds: float
    """How long a step waits for what it brought about."""
    new_key: Secret | None = field(default=None, repr=False)
    ca_bundle: Path | None = None
    rerun: bool = False
    """Whether jobs that were lost are rerun without another question."""

    @property
    def incident(self) -> Incident:
        return self.journal.incident

    def query(self, target: Target) -> InstallationQuery | None:
        """The target's installation by the new key; None without one. Raises CredentialsRejected, Refused."""
        if self.new_key is None:
            return None
        credentials = check_credentials(
            app_id=target.app_id,
            installation_id=target.installation_id,
            private_key=self.new_key,
            source="the file of --private-key-file",
        )
        return InstallationQuery(target.github_url, credentials, self.ca_bundle, "spec.gitHubURL of the gateway")

    def needed_query(self, target: Target) -> InstallationQuery:
        """The same for a step that cannot go on without; raises Refused, too."""
        if (query := self.query(target)) is None:
            raise Refused(
                "this step takes the App's new private key",
                f"Name its file: `{self.incident.resume_command} --private-key-file FILE`.",
            )
        return query

    def agrees(self, question: str) -> bool:
        """Whether to go on with what no plan shows; raises Refused when there is nobody to ask."""
        return self.manner.yes or self.conversation.confirm(question)
