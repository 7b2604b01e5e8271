"""A credential that a person brings: its form, and what GitHub says of it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from actions_gateway.github.app import (
    APP_ID_FILE,
    INSTALLATION_ID_FILE,
    AppCredentials,
    CredentialInvalid,
    parse_credentials,
)
from actions_gateway.github.secrets import Secret
from gw.errors import CredentialsRejected, Refused
from gw.sources.installation import Installation, InstallationQuery

LookUp = Callable[[InstallationQuery], Awaitable[Installation]]


class Witness(Protocol):
    """Whoever wants to hear what GitHub confirmed."""

    def checked(self, what: str) -> None:
        """Something was proven before anything is written."""


def check_credentials(*, app_id: str, installation_id: str, private_key: Secret, source: str) -> AppCredentials:
    """The credential; raises Refused or CredentialsRejected that names the option. `source` is where the key is from.

    Asks nobody.
    """
    try:
        return parse_credentials(app_id=app_id, installation_id=installation_id, private_key=private_key.reveal())
    except CredentialInvalid as problem:
        what = problem.message.removeprefix(f"the key {problem.field} of the App's Secret ")
        option = {APP_ID_FILE: "--app-id", INSTALLATION_ID_FILE: "--installation-id"}.get(problem.field)
        if option:
            raise Refused(f"{option} {what}", "Both numbers stand in the App's settings at GitHub.") from problem
        raise CredentialsRejected(
            f"{source} {what}", "Download a private key from the App's settings at GitHub and name that file."
        ) from problem


async def prove_key(query: InstallationQuery, look_up: LookUp, witness: Witness) -> Installation:
    """What GitHub confirms of the credential; raises CredentialsRejected when it says no, Blind when nothing."""
    installation, credentials = await look_up(query), query.credentials
    witness.checked(
        f"GitHub accepts the key {credentials.key_fingerprint} of App {credentials.app_id}"
        + (f" ({installation.app_slug})" if installation.app_slug else "")
    )
    granted = ", ".join(f"{name}:{level}" for name, level in sorted(installation.permissions.items()))
    witness.checked(f"installation {credentials.installation_id} covers {installation.scope} ({granted})")
    return installation
