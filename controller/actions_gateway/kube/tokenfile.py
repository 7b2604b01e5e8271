"""A bearer token in a file that somebody else renews, as the kubelet does with a pod's projected token.

The file's identity is looked at before every request, so a renewed token is used at once, whatever the clocks say: the
library's own loader rereads once a minute of the wall clock, and a kubeconfig's `tokenFile` only once.
Source: Kubernetes documentation, "Configure Service Accounts for Pods" (the application has to reload the token).
"""

from pathlib import Path

from actions_gateway.kube.errors import Unauthorized

_Identity = tuple[int, int, int]


class TokenFile:
    """The token in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: _Identity | None = None
        self._token = ""

    def read(self) -> str:
        """The current token; raises Unauthorized that names the file when there is none."""
        try:
            identity = _identity(self.path)
            if identity != self._identity:
                # The identity from before the reading: a file that is replaced meanwhile is read again.
                self._token, self._identity = self.path.read_text(encoding="ascii").strip(), identity
        except (OSError, UnicodeDecodeError) as problem:
            cause = (problem.strerror or "").lower() if isinstance(problem, OSError) else "it is no text"
            raise Unauthorized(f"the token file {self.path} cannot be read: {cause}") from problem
        if not self._token:
            raise Unauthorized(f"the token file {self.path} is empty")
        return self._token


def _identity(path: Path) -> _Identity:
    """Differs after the link of a projected volume moved, and after a write in place."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
