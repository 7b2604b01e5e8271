"""What can go wrong between us and GitHub.

GitHubError                     the base: HTTP status (0 without an answer), request id, Retry-After
├── Transient                   try the same again after a pause
│   ├── Unreachable             no answer; the text says why
│   │   ├── AnswerTimeout       the request went out, the answer did not come: it may have been carried out
│   │   ├── ConnectionBroken    the connection ended before the answer was complete
│   │   └── ProxyRefused        the egress proxy opens no tunnel: GitHub was never asked
│   ├── ServerError             5xx
│   └── MalformedAnswer         an answer that cannot be read
│       └── EmptyAnswer         a poll's 200 without a document; three in a row mean a dead session
├── RateLimited                 throttled; `retry_after_seconds` is always set
├── Unauthorized                401: the token or JWT is not accepted
│   └── ClockSkewed             because this machine's clock is wrong
├── Forbidden                   403 that is no throttle
│   ├── PermissionMissing       the App lacks a permission; the text names it when GitHub does
│   └── Suspended               the installation is suspended
├── NotFound                    404 of the REST API: unknown, or invisible to the App
├── InvalidRequest              400, 422: GitHub refuses the content
├── Moved                       3xx: the account or repository has another name now
├── NameTaken                   409 on registration
├── RunnerBusy                  422 on deletion: the runner's job has not concluded
├── RunNotConcluded             403 on a rerun: the run goes on, ask again later
├── RerunRefused                GitHub will never rerun this job
├── VersionTooOld               the runner version is no longer served
├── SessionConflict             409 on session creation: an earlier session of this runner lives
├── SessionExpired              the session is gone, the runner may live
├── RegistrationLost            this registration can never work again: register anew
│   ├── RunnerGone              the runner's record is deleted or consumed
│   ├── RegistrationNotFound    the token endpoint does not know the client; right after registration: not yet
│   ├── CredentialsRejected     the token endpoint refuses the client
│   └── RegistrationUnusable    the JIT configuration cannot be used; `runner_id` is what to delete
├── DeliveryGone                the delivered job's window passed, or its run was cancelled
├── AlreadyClaimed              another runner has the delivered job
├── LockLost                    404, 410 on renewal: the job is no longer ours, or has concluded
└── NotAuthorizedForJob         401, 403 with a job token: never repeated with another token

Every text passes the redaction when the error is made. The errors are raised without a cause on purpose: the texts of
the HTTP library's own exceptions quote bytes that came over the wire (a malformed header, a proxy's reason phrase), and
a traceback prints the whole chain. Their kind and redacted text are part of the message.
"""

from actions_gateway.github.redaction import redact


class GitHubError(RuntimeError):
    """A request to GitHub failed; the text is redacted and short."""

    def __init__(
        self, message: str, *, status: int = 0, request_id: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(redact(message))
        self.status = status
        self.request_id = redact(request_id, 128)
        self.retry_after_seconds = retry_after_seconds


class Transient(GitHubError):
    """The same request may succeed after a pause."""


class Unreachable(Transient):
    """GitHub gave no answer; the text says why."""


class AnswerTimeout(Unreachable):
    """The request was sent and no answer came in time; whether it was carried out is unknown."""


class ConnectionBroken(Unreachable):
    """The connection ended before the answer was complete; a new one may find another proxy or server."""


class ProxyRefused(Unreachable):
    """The egress proxy opens no tunnel; `proxy_status` is its answer, never GitHub's, so `status` stays 0."""

    def __init__(self, message: str, *, proxy_status: int) -> None:
        super().__init__(message)
        self.proxy_status = proxy_status


class ServerError(Transient):
    """GitHub failed."""


class MalformedAnswer(Transient):
    """GitHub's answer cannot be read."""


class EmptyAnswer(MalformedAnswer):
    """A poll was answered 200 with nothing or with a document that ends early."""


class RateLimited(GitHubError):
    """GitHub asks for patience; `wait_seconds` is always known."""

    def __init__(self, message: str, *, wait_seconds: float, status: int = 429, request_id: str = "") -> None:
        super().__init__(message, status=status, request_id=request_id, retry_after_seconds=wait_seconds)
        self.wait_seconds = wait_seconds


class Unauthorized(GitHubError):
    """The token or JWT is not accepted."""


class ClockSkewed(Unauthorized):
    """This machine's clock differs from GitHub's by more than a signed request tolerates."""


class Forbidden(GitHubError):
    """The caller is known and may not."""


class PermissionMissing(Forbidden):
    """The GitHub App lacks a permission."""


class Suspended(Forbidden):
    """The App's installation is suspended."""


class NotFound(GitHubError):
    """The thing does not exist, or the App cannot see it."""


class InvalidRequest(GitHubError):
    """GitHub refuses the content of the request."""


class Moved(GitHubError):
    """The account or repository was renamed; requests are never sent on to another address."""


class NameTaken(GitHubError):
    """A runner of this name is registered."""


class RunnerBusy(GitHubError):
    """The runner is bound to a job that has not concluded."""


class RunNotConcluded(GitHubError):
    """The run goes on: nothing of it can be rerun yet."""


class RerunRefused(GitHubError):
    """GitHub will never rerun this job."""


class VersionTooOld(GitHubError):
    """GitHub no longer serves this runner version."""


class SessionConflict(GitHubError):
    """An earlier session of this runner is alive."""


class SessionExpired(GitHubError):
    """The session is gone."""


class RegistrationLost(GitHubError):
    """This registration can never be used again."""


class RunnerGone(RegistrationLost):
    """The runner's record is deleted or consumed."""


class RegistrationNotFound(RegistrationLost):
    """The token endpoint does not know this client (yet, right after the registration)."""


class CredentialsRejected(RegistrationLost):
    """The token endpoint refuses this client."""


class RegistrationUnusable(RegistrationLost):
    """The JIT configuration cannot be used."""

    runner_id: int | None = None
    """The record that was created all the same."""


class DeliveryGone(GitHubError):
    """The delivery's window passed, or its run was cancelled."""


class AlreadyClaimed(GitHubError):
    """Another runner has the job."""


class LockLost(GitHubError):
    """The lock on the job is gone."""


class NotAuthorizedForJob(GitHubError):
    """The job token does not open this job."""
