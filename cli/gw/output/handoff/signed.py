"""Signed hand-overs read back from files, and what became of them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from gw.errors import Refused
from gw.ops.handoff.verification import SignedDocument, Verdict
from gw.output.handoff.document import KIND, canonical, signature_document
from gw.output.handoff.text import SIGNATURE, signature_text
from gw.output.view import View


class _Loader(yaml.SafeLoader):
    """Leaves times as the texts that they are: not every program that writes YAML quotes them."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_signed(path: Path) -> SignedDocument:
    """A signed hand-over in any of its formats; raises Refused for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise Refused(
            f"--verify: {path} cannot be read: {problem}", "Name a file that gw handoff --sign has written."
        ) from problem
    body, line, rest = text.rpartition(SIGNATURE + "\n")
    if line:
        fields = dict(re.findall(r"^- (Record|Checksum): (\S+)$", rest, re.MULTILINE))
        if {"Record", "Checksum"} <= fields.keys():
            block = (line + rest).rstrip()
            return SignedDocument(
                str(path),
                body,
                True,
                fields["Record"],
                fields["Checksum"],
                lambda signature: signature_text(signature).rstrip() == block,
            )
        raise Refused(f"--verify: {path} is a draft: nobody has signed it", "Sign with gw handoff --sign.")
    data = _loaded(text)
    said = data.get("signature") if data.get("kind") == KIND else None
    try:
        body = canonical(data)
    except (TypeError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Refused(f"--verify: {path} is no signed hand-over", "Name a file that gw handoff --sign has written.")
    return SignedDocument(
        str(path),
        body,
        False,
        str(said.get("record") or ""),
        str(said.get("checksum") or ""),
        lambda signature: signature_document(signature) == said,
    )


def verdict_view(signed: SignedDocument, verdict: Verdict) -> View:
    """One sentence, and what to do."""
    lines = [Text(f"{signed.name}: {verdict.words}.")]
    lines += [Text(f"next: {verdict.next_step}")] if verdict.next_step else []
    data = {
        "file": signed.name,
        "record": signed.record,
        "outcome": verdict.outcome.value,
        "summary": verdict.words,
        "next": verdict.next_step or None,
    }
    return View("HandoffVerification", data, lambda: lines, [f"{signed.name} {verdict.outcome}"])


def _loaded(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        try:
            data = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}
