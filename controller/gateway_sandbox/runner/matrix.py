"""Matrix combinations: lists, then `exclude`, then `include`.

Rules: GitHub Docs "Running variations of jobs in a workflow". An `include` entry extends each original combination
whose own values it does not change; an entry that extends none becomes a combination of its own.
"""

from itertools import product
from typing import Any

from .values import Value, loosely_equal, to_text

MAXIMUM_JOBS = 256
"""GitHub Docs: a matrix makes at most 256 jobs."""


def expand_matrix(matrix: dict[str, Value]) -> list[dict[str, Value]]:
    """The combinations in order; raises ValueError with one sentence."""
    axes = {key: _axis(key, value) for key, value in matrix.items() if key not in ("include", "exclude")}
    excludes, includes = _entries(matrix, "exclude"), _entries(matrix, "include")
    originals = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    originals = [original for original in originals if not any(_matches(original, entry) for entry in excludes)]
    combinations = [dict(original) for original in originals]
    added: list[dict[str, Value]] = []
    for entry in includes:
        extended = [
            combination
            for original, combination in zip(originals, combinations, strict=True)
            if all(_same(original[key], value) for key, value in entry.items() if key in original)
        ]
        for combination in extended:
            combination.update(entry)
        if not extended:
            added.append(dict(entry))
    combinations += added
    if not combinations:
        raise ValueError("has no combination left; remove an exclude or add a value")
    if len(combinations) > MAXIMUM_JOBS:
        raise ValueError(f"makes {len(combinations)} jobs, more than the {MAXIMUM_JOBS} that are allowed; drop values")
    return combinations


def matrix_suffix(combination: dict[str, Value]) -> str:
    """What GitHub appends to a job's name: its values in brackets."""
    leaves = [to_text(leaf) for value in combination.values() for leaf in _leaves(value)]
    return f" ({', '.join(leaves)})" if leaves else ""


def _axis(key: str, value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise ValueError(f"has no list for {key!r}; write [{value}]")
    if not value:
        raise ValueError(f"has an empty list for {key!r}; add a value or remove it")
    return value


def _entries(matrix: dict[str, Value], key: str) -> list[dict[str, Any]]:
    entries = matrix.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"needs a list of mappings under {key!r}")
    return entries


def _matches(combination: dict[str, Value], entry: dict[str, Value]) -> bool:
    return all(key in combination and _same(combination[key], value) for key, value in entry.items())


def _same(left: Value, right: Value) -> bool:
    return bool(left == right) or loosely_equal(left, right)


def _leaves(value: Value) -> list[Value]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]
