"""Takes secrets out of the Worker's last output before it becomes part of the pod's status.

The job message says what is secret: tokens of its endpoints, variables marked `isSecret` and its mask patterns.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPLACEMENT = "***"

KNOWN_SHAPES = (
    re.compile(r"\bgh[a-z]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"(?i)\b(bearer|basic|remoteauth)\s+[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", re.DOTALL),
)


def redact(text: str, job_message: str) -> str:
    """`text` without the secrets of `job_message` and without anything shaped like a GitHub token, a JWT or a key."""
    values, patterns = _secrets(job_message)
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, REPLACEMENT)
    for pattern in (*patterns, *KNOWN_SHAPES):
        text = pattern.sub(REPLACEMENT, text)
    return text


def _secrets(job_message: str) -> tuple[set[str], list[re.Pattern[str]]]:
    try:
        job: Any = _lowered(json.loads(job_message))
        values = {value for value in _secret_values(job) if value.strip()}
        lines = {line for value in values for line in value.splitlines() if len(line.strip()) > 3}
        return values | lines, _mask_patterns(job)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return set(), []


def _secret_values(job: Any) -> list[str]:
    endpoints = (job.get("resources") or {}).get("endpoints") or []
    authorizations = [(endpoint.get("authorization") or {}).get("parameters") or {} for endpoint in endpoints]
    variables = [
        item for item in (job.get("variables") or {}).values() if isinstance(item, dict) and item.get("issecret")
    ]
    found = [*(value for parameters in authorizations for value in parameters.values())]
    return [value for value in (*found, *(item.get("value") for item in variables)) if isinstance(value, str)]


def _mask_patterns(job: Any) -> list[re.Pattern[str]]:
    patterns: list[re.Pattern[str]] = []
    for mask in job.get("mask") or []:
        try:
            patterns.append(re.compile(mask.get("value") or r"(?!)"))
        except re.error:
            continue  # .NET knows constructs that Python does not
    return patterns


def _lowered(value: Any) -> Any:
    """Property names in lower case: the runner's JSON reader ignores their case."""
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
