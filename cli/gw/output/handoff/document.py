"""The hand-over as a document for programs."""

import json
from collections.abc import Sequence
from typing import Any

from gw.checks.model import Outcome
from gw.ops.handoff.model import Difference, Entry, Gap, Handoff, Said, Signature
from gw.output.layout import stamp
from gw.output.view import View
from gw.sources.records import RecordedProblem

KIND = "Handoff"


def handoff_view(handoff: Handoff, signature: Signature | None) -> View:
    """The document of `-o json` and `-o yaml`, and one line per item."""
    return View(
        kind=KIND,
        data={**document(handoff), "signature": None if signature is None else signature_document(signature)},
        lines=lambda: (),
        short=[f"{item.number} {item.state}" for item in handoff.items],
    )


def canonical(data: dict[str, Any]) -> str:
    """One text for equal documents, whatever their format; without version, kind and signature."""
    body = {key: value for key, value in data.items() if key not in ("version", "kind", "signature")}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def document(handoff: Handoff) -> dict[str, Any]:
    """All of it, without the signature."""
    return {
        "cluster": handoff.cluster,
        "tenant": handoff.namespace,
        "at": stamp(handoff.at),
        "since": stamp(handoff.since),
        "to": handoff.to or None,
        "note": handoff.note or None,
        "exit_code": int(handoff.exit_code),
        "items": [
            {
                "number": item.number,
                "title": item.title,
                "state": item.state.value,
                "findings": [_said(each) for each in item.said],
                "notes": list(item.notes),
            }
            for item in handoff.items
        ],
        "lost_jobs": [
            {
                "tenant": job.namespace,
                "run": job.run,
                "run_id": job.run_id,
                "name": job.name,
                "group": job.group,
                "lost_at": stamp(job.lost_at),
                "cause": job.cause,
                "state": job.state,
                "retries": job.retries,
                "needs_person": job.needs_person,
            }
            for job in handoff.lost_jobs
        ],
        "changes": {
            section.id: {"entries": [_entry(each) for each in section.entries], "unknown": _unknowns(section.gaps)}
            for section in handoff.sections
        },
        "others": [
            _said(Said(result.check.id, finding, result.severity_of(finding)))
            for result in handoff.others
            for finding in result.findings
        ],
        "difference": _difference_document(handoff.difference),
    }


def _said(said: Said) -> dict[str, Any]:
    finding = said.finding
    return {
        "check": said.check or None,
        "outcome": finding.outcome.value,
        "severity": said.severity.value if finding.outcome is Outcome.PROBLEM else None,
        "subject": finding.subject,
        "summary": finding.summary,
        "since": stamp(finding.since),
        "evidence": list(finding.evidence),
        "next": finding.next_step or None,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {"at": stamp(entry.at), "subject": entry.subject, "what": entry.what, "by": entry.by or None}


def _unknowns(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    return [{"reason": gap.reason, "next": gap.next_step or None, "looked_for": gap.is_looked_for} for gap in gaps]


def _difference_document(difference: Difference) -> dict[str, Any]:
    last = difference.last
    return {
        "last": None
        if last is None
        else {
            "record": last.name,
            "at": stamp(last.at),
            "by": last.by,
            "to": last.to or None,
            "note": last.note or None,
            "items": list(last.states),
        },
        "new": [_recorded_document(each) for each in difference.new],
        "unchanged": [_recorded_document(each) for each in difference.unchanged],
        "gone": [_recorded_document(each) for each in difference.gone],
        "unseen": [_recorded_document(each) for each in difference.unseen],
        "notes": list(difference.notes),
        "unknown": _unknowns(difference.gaps),
    }


def _recorded_document(problem: RecordedProblem) -> dict[str, str]:
    return {"check": problem.check, "subject": problem.subject, "severity": problem.severity}


def signature_document(signature: Signature) -> dict[str, Any]:
    """Who signed, as a part of the document."""
    return {
        "by": signature.by,
        "at": stamp(signature.at),
        "to": signature.to or None,
        "record": signature.record,
        "checksum": signature.json_checksum,
        "markdown_checksum": signature.markdown_checksum,
    }
