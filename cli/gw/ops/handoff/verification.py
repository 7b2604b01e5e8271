"""Whether a signed hand-over still says what was signed: beside its own checksum, and beside the record of it."""

from collections.abc import Callable
from dataclasses import dataclass

from gw.checks.model import Outcome
from gw.errors import CredentialsRejected
from gw.exits import ExitCode
from gw.ops.handoff.handing import checksum
from gw.ops.handoff.model import Signature
from gw.sources.cluster import Cluster
from gw.sources.facts import Missing
from gw.sources.gathering import read_fact
from gw.sources.records import gather_records


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """A hand-over out of a file."""

    name: str
    """The file."""
    body: str
    """What was signed, in the form of its checksum."""
    is_markdown: bool
    record: str
    checksum: str
    """As the document itself says it."""
    is_signed_as: Callable[[Signature], bool]
    """Whether its signature is this one, and nothing stands below it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it."""

    outcome: Outcome
    words: str
    next_step: str = ""

    @property
    def exit_code(self) -> ExitCode:
        codes = {Outcome.OK: ExitCode.OK, Outcome.PROBLEM: ExitCode.PROBLEM}
        return codes.get(self.outcome, ExitCode.UNKNOWN)


async def verify_document(cluster: Cluster, signed: SignedDocument) -> Verdict:
    """Whoever edits a file can write its checksum anew, so the record decides; raises CredentialsRejected."""
    actual = checksum(signed.body)
    if actual != signed.checksum:
        return Verdict(Outcome.PROBLEM, "it was edited: its text is not what its checksum says", _see(signed.record))
    records = await read_fact("read the hand-overs", lambda: gather_records(cluster))
    if isinstance(records, Missing):
        if records.is_rejected:
            raise CredentialsRejected(records.reason, records.next_step)
        words = f"its checksum is right, and whether it is the one that was signed is unknown: {records.reason}"
        return Verdict(Outcome.UNKNOWN, words, records.next_step)
    record = next((each for each in records.value.records if each.name == signed.record), None)
    if record is None:
        gone = f"its checksum is right, and whether it is the one that was signed is unknown: no record {signed.record}"
        return Verdict(Outcome.UNKNOWN, gone, "Ask whoever handed over; the latest records are kept alone.")
    kept = record.markdown_checksum if signed.is_markdown else record.json_checksum
    if actual != kept:
        return Verdict(Outcome.PROBLEM, "it was edited: the record has another checksum", _see(signed.record))
    if not signed.is_signed_as(
        Signature(record.by, record.at, record.to, record.name, record.markdown_checksum, record.json_checksum)
    ):
        return Verdict(Outcome.PROBLEM, "it was edited: its signature is not what the record says", _see(signed.record))
    to = f" to {record.to}" if record.to else ""
    return Verdict(Outcome.OK, f"it is as {record.by} signed it{to} at {record.at:%Y-%m-%dT%H:%M:%SZ}")


def _see(record: str) -> str:
    return f"See what was signed: kubectl get cm -n gmc-system {record} -o jsonpath='{{.data.handoff\\.md}}'"
