"""How people name jobs, and where GitHub shows them."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gw.errors import Refused

_RUN_PATH = re.compile(
    r"/(?P<repository>[^/]+/[^/]+)/actions/runs/(?P<run>[0-9]{1,19})"
    r"(?:/attempts/[0-9]+)?(?:/jobs?/(?P<job>[0-9]{1,19}))?/?"
)
"""GitHub's pages of a run and of a job of it, with or without an attempt."""
_FORMS = "Name a run by its id, a run or a job by its address at GitHub, or a worker's pod."


@dataclass(frozen=True, slots=True)
class JobReference:
    """A run, one job of it, or a pod, as a person named it."""

    text: str
    run_id: int | None = None
    job_id: int | None = None
    """None means every job of the run."""
    host: str = ""
    """Lower case, with its port if one was written; empty when no address was given."""
    repository: str = ""
    pod: str = ""


def parse_job_reference(text: str) -> JobReference:
    """The reference; raises Refused when it is none."""
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return JobReference(text, run_id=int(text))
    if "://" in text:
        try:
            parts = urlsplit(text)
        except ValueError as problem:
            raise Refused(f"{text!r} is no address: {problem}", _FORMS) from problem
        if not (found := _RUN_PATH.fullmatch(parts.path)):
            raise Refused(f"{text!r} is not the address of a run or of one of its jobs", _FORMS)
        job = int(found["job"]) if found["job"] else None
        return JobReference(text, int(found["run"]), job, parts.netloc.lower(), found["repository"])
    if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text):
        return JobReference(text, pod=text)
    raise Refused(f"{text!r} names no run and no pod", _FORMS)


def host_of(github_url: str) -> str:
    """The host of a gateway's gitHubURL, as in a reference; empty for what is no URL."""
    return urlsplit(github_url).netloc.lower()


def run_url(github_url: str, repository: str, run_id: int | str) -> str:
    """Where people see the run; empty when it is not known."""
    parts = urlsplit(github_url)
    return f"{parts.scheme}://{parts.netloc}/{repository}/actions/runs/{run_id}" if repository and parts.netloc else ""
