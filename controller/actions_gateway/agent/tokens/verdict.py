"""What is known about the App credential, as the condition CredentialUnavailable will say it."""

from dataclasses import dataclass
from pathlib import Path

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.github.app import (
    APP_ID_FILE,
    INSTALLATION_ID_FILE,
    PRIVATE_KEY_FILE,
    CredentialInvalid,
    CredentialProblem,
    FieldBytes,
)
from actions_gateway.github.errors import Forbidden, GitHubError, NotFound, Suspended, Unauthorized
from actions_gateway.github.restmodels import InstallationToken
from actions_gateway.github.urls import GitHubScope

_FIELDS = (APP_ID_FILE, INSTALLATION_ID_FILE, PRIVATE_KEY_FILE)

_STATUS = {
    Reason.CREDENTIAL_AVAILABLE: ConditionStatus.FALSE,
    Reason.CREDENTIAL_UNKNOWN: ConditionStatus.UNKNOWN,
    Reason.GITHUB_UNREACHABLE: ConditionStatus.UNKNOWN,
    Reason.SECRET_EDITED: ConditionStatus.FALSE,
}
"""Of the condition; every other reason is a problem, for which it is True."""
_USABLE = (Reason.CREDENTIAL_AVAILABLE, Reason.SECRET_EDITED, Reason.EDITED_SECRET_UNUSABLE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement."""

    reason: Reason
    message: str

    @property
    def is_available(self) -> bool:
        """Whether GitHub accepts the credential in use, whatever became of its Secret since."""
        return self.reason in _USABLE

    @property
    def is_known(self) -> bool:
        """Whether the credential was tried."""
        return self.reason is not Reason.CREDENTIAL_UNKNOWN

    @property
    def condition(self) -> Condition:
        """The condition that says it."""
        status = _STATUS.get(self.reason, ConditionStatus.TRUE)
        return Condition(ConditionType.CREDENTIAL_UNAVAILABLE, status, self.reason, self.message)


UNKNOWN = Verdict(Reason.CREDENTIAL_UNKNOWN, "The credential has not been tried yet.")
AVAILABLE = Verdict(Reason.CREDENTIAL_AVAILABLE, "GitHub accepts the credential.")


def from_files(problem: CredentialInvalid, folder: Path) -> Verdict:
    """The mounted files cannot be used."""
    if not any((folder / name).exists() for name in _FIELDS):
        return Verdict(
            Reason.SECRET_NOT_FOUND,
            f"The App's Secret does not exist or is empty; create it with the keys {', '.join(_FIELDS)}.",
        )
    is_missing = problem.problem is CredentialProblem.MISSING
    reason = Reason.SECRET_FIELD_MISSING if is_missing else Reason.SECRET_FIELD_INVALID
    return Verdict(reason, _sentence(problem.message))


def from_refusal(problem: GitHubError, app_id: str, installation_id: int) -> Verdict:
    """GitHub issued no installation token."""
    match problem:
        case Unauthorized():
            reason = Reason.KEY_REJECTED
            advice = f"GitHub does not accept privateKey as a key of the App {app_id} (appId)"
        case NotFound():
            reason = Reason.INSTALLATION_NOT_FOUND
            advice = f"the App {app_id} has no installation {installation_id} (installationId)"
        case Suspended():
            reason = Reason.INSTALLATION_SUSPENDED
            advice = f"the installation {installation_id} is suspended; lift that in the account's settings"
        case Forbidden():
            reason, advice = Reason.PERMISSION_MISSING, "GitHub refuses the installation a token"
        case _:
            reason, advice = Reason.GITHUB_UNREACHABLE, "GitHub gave no usable answer; it is asked again"
    return Verdict(reason, _sentence(f"{advice}: {problem}"))


def from_registration(problem: GitHubError) -> Verdict:
    """The token was issued, and GitHub refuses it the registration of runners."""
    reason = Reason.INSTALLATION_SUSPENDED if isinstance(problem, Suspended) else Reason.PERMISSION_MISSING
    return Verdict(reason, _sentence(f"the App's installation may not register runners: {problem}"))


def from_token(minted: InstallationToken, scope: GitHubScope) -> Verdict:
    """A token was issued; what it permits may still be too little.

    Source: GitHub REST docs, "Permissions required for GitHub Apps": registering runners needs Administration of a
    repository, or Self-hosted runners of an organization. Enterprises grant it outside of the App's permissions.
    """
    needed = ""
    if scope.repository is not None:
        needed = "administration"
    elif scope.runners_path.startswith("/orgs/"):
        needed = "organization_self_hosted_runners"
    if needed and minted.permissions and minted.permissions.get(needed) != "write":
        granted = minted.permissions.get(needed, "none")
        return Verdict(
            Reason.PERMISSION_MISSING,
            f"Registering runners needs the App permission {needed}: write; the installation grants {granted}.",
        )
    return AVAILABLE


_WORKS_ON = "The agent works on with what it read before"


def edit_works(trial: Verdict) -> Verdict:
    """The Secret was edited in place and minted a token; `trial` says what that token permits."""
    if not trial.is_available:
        text = f"The App's Secret was edited in place. {trial.message} {_WORKS_ON}."
        return Verdict(Reason.EDITED_SECRET_UNUSABLE, text)
    text = f"The App's Secret was edited in place, and the edit works. {_WORKS_ON}; its next restart takes the edit."
    return Verdict(Reason.SECRET_EDITED, text)


def edit_unusable(problem: CredentialInvalid, fields: FieldBytes) -> Verdict:
    """What the Secret holds now cannot be used, or it is gone."""
    if all(isinstance(content, FileNotFoundError) for content in fields.values()):
        text = f"The App's Secret was deleted or emptied. {_WORKS_ON}; create it with the keys {', '.join(_FIELDS)}."
    else:
        text = f"The App's Secret was edited in place: {problem.message.rstrip('.')}. {_WORKS_ON}."
    return Verdict(Reason.EDITED_SECRET_UNUSABLE, text)


def edit_refused(problem: GitHubError, app_id: str, installation_id: int) -> Verdict:
    """GitHub mints no token for what the Secret holds now."""
    said = from_refusal(problem, app_id, installation_id).message
    return Verdict(Reason.EDITED_SECRET_UNUSABLE, f"The App's Secret was edited in place. {said} {_WORKS_ON}.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
