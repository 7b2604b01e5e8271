"""Every procedure's page, run to its end by `gw runbook run` as an operator would, on one sandbox for all of them.

Tenants are three, so that no page finds what another one left: one for the pages about a tenant that serves, one whose
key is rotated, and one that comes and goes. The latter two mostly wait, so they go on meanwhile. Plain kubectl is run
where no test of the production runbook's own commands (test_runbook.py) restarts the same thing.
"""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gw.exits import ExitCode
from gw.ops.runbook.library import find_page, find_section, read_library
from gw.ops.runbook.model import Deed, Kind, Page
from gw.ops.runbook.plan import steps_below
from support.commands import ROOT, Answer
from support.components import require_control_plane
from support.kubectl import kubectl_folder
from support.running_sandbox import Sandbox, start_sandbox, stop_sandbox

pytestmark = pytest.mark.e2e

TENANT, ROTATED, NEW = "team-a", "team-keys", "team-new"
LIBRARY = read_library()
PROCEDURES = [page for page in LIBRARY if page.kind is Kind.PROCEDURE]
_MEANWHILE_SECONDS = 240.0
KUBECTL, PRIVATE = "With kubectl", "Behind a private certificate authority"

VALUES = {
    "TENANT": TENANT,
    "GATEWAY": TENANT,
    "GROUP": "cpu-runners",
    "COUNT": "3",
    "QUOTA": "tenant-quota",
    "KEY": "pods",
    "HOST": "registry.example.com",
    "PERSON": "olivia",
    "SINCE": "1h",
    "FAULT": "alertmanager-down",
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A page, or one section of it, as it is run."""

    page: str
    section: str = ""
    values: dict[str, str] = field(default_factory=dict)
    may_be_untold: bool = False
    is_about_all: bool = False
    """It asks for the health of all tenants: of a rotation, or of one that comes or goes, that may tell for a while."""

    def __str__(self) -> str:
        return f"{self.page}, {self.section}" if self.section else self.page


REHEARSALS = (
    Rehearsal("conditions"),
    Rehearsal("adjust-quota", values={"AMOUNT": "+10"}),
    Rehearsal("adjust-quota", KUBECTL, {"HARD": "70"}),
    Rehearsal("scale-runner-group"),
    Rehearsal("scale-runner-group", KUBECTL, {"COUNT": "4"}),
    Rehearsal("pause-tenant"),
    Rehearsal("pause-tenant", KUBECTL),
    Rehearsal("restart"),
    Rehearsal("agent-failure"),
    Rehearsal("manager-failure"),
    Rehearsal("slo-pod-creation-latency"),
    Rehearsal("slo-active-sessions"),
    Rehearsal("slo-jobs-acquired"),
    Rehearsal("lost-jobs"),
    Rehearsal("egress"),
    Rehearsal("collect-evidence"),
    # What was before the sandbox's Prometheus nobody knows.
    Rehearsal("hand-over", may_be_untold=True),
    Rehearsal("drills", is_about_all=True),
    # Whether somebody would be told is not known in the first minutes of an Alertmanager.
    Rehearsal("alerting", may_be_untold=True),
)
ELSEWHERE = {"add-tenant", "remove-tenant", "rotate-key"}
"""Pages that have a test of their own below."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The sandbox, and where files go."""

    sandbox: Sandbox
    folder: Path
    path: str
    """With a kubectl of that name."""

    def run(self, rehearsal: Rehearsal, *options: str) -> Answer:
        """Runs the page; what only a person could do is told done."""
        page = find_page(LIBRARY, rehearsal.page)
        known = VALUES | {"FILE": str(self.folder / f"{page.name}.out")} | rehearsal.values
        arguments = [word for place in page.places if place in known for word in ("--set", f"{place}={known[place]}")]
        steps = [step for step in page.steps if not step.is_aside]
        if rehearsal.section:
            arguments += ["--section", rehearsal.section]
            steps = list(steps_below(page, find_section(page, rehearsal.section)))
        deeds = [step.number for step in steps if isinstance(step, Deed)]
        arguments += [word for number in deeds for word in ("--done", str(number))]
        command = ("runbook", "run", page.name, *arguments, "--yes", "-o", "json", *options)
        return self.sandbox.gw(*command, timeout_seconds=240.0, PATH=self.path)

    def new_key(self) -> Path:
        """The file of a further key of the sandbox's App, as a person would have made it at GitHub."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.sandbox.github("POST", f"/apps/{self.sandbox.info['app_id']}/keys", {"public_key": public})
        file = self.folder / f"{key.public_key().public_numbers().n % 10**9}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.chmod(0o600)
        return file

    def app(self) -> dict[str, str]:
        """The places that the sandbox's App fills."""
        info = self.sandbox.info
        return {
            "URL": f"{info['github_url']}/octo/demo",
            "APP_ID": str(info["app_id"]),
            "INSTALLATION_ID": str(info["installation_id"]),
            "CA_FILE": str(info["ca_path"]),
        }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox on the real control plane with two tenants that serve."""
    require_control_plane()
    folder = tmp_path_factory.mktemp("pages")
    path = os.pathsep.join([str(kubectl_folder(folder)), os.environ["PATH"]])
    try:
        sandbox = start_sandbox(folder / "cluster", "--cluster", "real")
        group = "cpu-runners labels=self-hosted,linux maxWorkers=30"
        options = (*sandbox.tenant_arguments(group), "--quota", "pods=60", "--yes")
        with ThreadPoolExecutor(2) as pool:
            for added in pool.map(lambda tenant: sandbox.gw("tenant", "add", tenant, *options), (TENANT, ROTATED)):
                assert added.code == 0, added
        yield Stage(sandbox, folder, path)
    finally:
        stop_sandbox(folder / "cluster")


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What goes on beside the pages about a tenant that serves."""

    rotation: Future[list[Answer]]
    coming_and_going: Future[list[Answer]]

    def settle(self) -> None:
        """Returns when both have ended, however that was: each has a test that tells."""
        wait((self.rotation, self.coming_and_going), timeout=_MEANWHILE_SECONDS)


@pytest.fixture(scope="module")
def meanwhile(stage: Stage) -> Iterator[Meanwhile]:
    """Both ways of the page that rotates a key, and the pages that add and remove a tenant."""
    app = stage.app()

    def rotate() -> list[Answer]:
        places = app | {"TENANT": ROTATED, "GATEWAY": ROTATED}
        with_gw = Rehearsal("rotate-key", PRIVATE, places | {"KEY_FILE": str(stage.new_key())})
        names = {"OLD_SECRET": "github-app-v2", "NEW_SECRET": "github-app-v3"}
        with_kubectl = Rehearsal("rotate-key", KUBECTL, places | names | {"KEY_FILE": str(stage.new_key())})
        return [stage.run(with_gw), stage.run(with_kubectl, "--confirm", ROTATED)]

    def come_and_go() -> list[Answer]:
        places = app | {"TENANT": NEW, "GATEWAY": NEW, "KEY_FILE": str(stage.sandbox.info["app_key_path"])}
        added = stage.run(Rehearsal("add-tenant", PRIVATE, places))
        return [added, stage.run(Rehearsal("remove-tenant", values=places), "--confirm", NEW)]

    with ThreadPoolExecutor(2) as pool:
        yield Meanwhile(pool.submit(rotate), pool.submit(come_and_go))


def check_done(answer: Answer, *, may_be_untold: bool = False) -> None:
    """Every step of the run is done; or, where it may be, some of them could not tell."""
    states = {"done"}
    if may_be_untold and answer.code == ExitCode.UNKNOWN:
        states.add("untold")
    else:
        assert answer.code == 0, answer
        assert json.loads(answer.out)["done"], answer
    steps = json.loads(answer.out)["steps"]
    assert steps
    assert {step["state"] for step in steps} == states, answer


@pytest.mark.parametrize("rehearsal", REHEARSALS, ids=str)
def test_a_page_is_run_to_its_end(stage: Stage, meanwhile: Meanwhile, rehearsal: Rehearsal) -> None:
    if rehearsal.is_about_all:
        meanwhile.settle()
    check_done(stage.run(rehearsal), may_be_untold=rehearsal.may_be_untold)


def test_a_tenant_comes_and_goes_by_its_pages(stage: Stage, meanwhile: Meanwhile) -> None:
    for answer in meanwhile.coming_and_going.result(timeout=_MEANWHILE_SECONDS):
        check_done(answer)
    assert NEW not in stage.sandbox.gw("tenant", "list", "-o", "short").out.split()


def test_a_key_is_rotated_by_its_page_with_gw_and_with_kubectl(stage: Stage, meanwhile: Meanwhile) -> None:
    for answer in meanwhile.rotation.result(timeout=_MEANWHILE_SECONDS):
        check_done(answer)
    secrets = {each["metadata"]["name"] for each in stage.sandbox.objects("secrets", ROTATED)}
    assert secrets >= {"github-app-v1", "github-app-v3"}
    assert "github-app-v2" not in secrets


@pytest.mark.parametrize("page", PROCEDURES, ids=lambda page: page.name)
def test_every_procedure_is_rehearsed_here_or_says_why_not(page: Page) -> None:
    is_rehearsed = page.name in {each.page for each in REHEARSALS} | ELSEWHERE
    assert is_rehearsed != bool(page.not_rehearsed)
    instead = re.findall(r"(?:tests|\.ci)/[\w./]*\w", page.not_rehearsed)
    assert bool(instead) == bool(page.not_rehearsed)
    assert [name for name in instead if not (ROOT / name).exists()] == []


def test_few_procedures_cannot_be_rehearsed_here() -> None:
    assert {page.name for page in PROCEDURES if page.not_rehearsed} == {
        *("install", "upgrade", "uninstall", "migrate-from-upstream", "build-images", "gitops"),
        "key-compromise",
    }
