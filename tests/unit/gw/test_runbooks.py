"""The index of the runbooks is what the generator writes, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from gw.checks.catalog import CATALOG
from gw.checks.index import COMMAND, INDEX, PAGE_KINDS, front_matter, read_pages, render_index

RUNBOOKS = Path(__file__).parents[3] / "runbooks"
LINK = re.compile(r"\]\(([^)#]+)\)")


def test_the_index_is_as_generated() -> None:
    wanted = render_index(CATALOG, *(read_pages(RUNBOOKS, kind) for kind in PAGE_KINDS))
    assert (RUNBOOKS / INDEX).read_text() == wanted, f"rewrite it with: {COMMAND}"


@pytest.mark.parametrize("page", sorted(RUNBOOKS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).is_file()] == []


def test_a_page_without_front_matter_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "a.md").write_text("# No front matter\n")
    with pytest.raises(ValueError, match=r"a\.md: the page has no front matter"):
        read_pages(tmp_path, "checks")


def test_front_matter_ends_at_its_second_marker() -> None:
    assert front_matter("---\ntitle: A\n---\n---\n") == {"title": "A"}
