"""The page on migrating from the upstream project says of each field whether it is there, as the definition has it."""

import re
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.crd import gateway_crd

PAGE = Path(__file__).parents[2] / "runbooks" / "procedures" / "migrate-from-upstream.md"
ROW = re.compile(r"^ +\| (?P<upstream>[^|]+) \| (?P<here>[^|]+) \|$", re.MULTILINE)
FIELD = re.compile(r"`([A-Za-z.*\[\]]+)`")


def rows() -> list[tuple[str, bool]]:
    """Each field of the table's left column, and whether the page says that it is here."""
    return [
        (field, not row["here"].startswith("gone"))
        for row in ROW.finditer(PAGE.read_text())
        if not row["upstream"].startswith("annotation")
        for field in FIELD.findall(row["upstream"])
    ]


def is_defined(field: str) -> bool:
    """Whether the spec, or a runner group in it, has the field."""
    schema = gateway_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    return _has(spec, field) or _has(spec["properties"]["runnerGroups"]["items"], field)


def _has(schema: dict[str, Any], field: str) -> bool:
    name, _, rest = field.removesuffix(".*").partition(".")
    found = schema.get("properties", {}).get(name.removesuffix("[]"))
    return found is not None and (not rest or _has(found, rest))


@pytest.mark.parametrize(("field", "is_told"), rows(), ids=lambda value: str(value))
def test_a_field_is_there_when_the_page_says_so_and_only_then(field: str, is_told: bool) -> None:
    assert is_defined(field) == is_told


def test_the_table_has_fields_of_both_kinds() -> None:
    assert {"logLevel", "tracing", "gitHubAppRef.namespace", "proxy.*", "priorityTiers"} <= {name for name, _ in rows()}
    assert {is_told for _, is_told in rows()} == {True, False}
