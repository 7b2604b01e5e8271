"""Runbook pages: the index is what the generator writes, links lead somewhere, and only well-formed pages are read."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw.checks.catalog import CATALOG
from gw.checks.frontmatter import front_matter
from gw.checks.index import COMMAND, INDEX, PAGE_KINDS, read_pages, render_index
from gw.errors import Refused
from gw.ops.runbook.finding import search
from gw.ops.runbook.library import find_page, find_section, pages_folder, read_library
from gw.ops.runbook.model import Block, Changes, Deed, Kind, Need, Page
from gw.ops.runbook.parsing import PageProblem, parse_page
from gw.ops.runbook.places import FORMS, check_value, fill, places_in

RUNBOOKS = Path(__file__).parents[3] / "runbooks"
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')


def test_the_index_is_as_generated() -> None:
    wanted = render_index(CATALOG, *(read_pages(RUNBOOKS, kind) for kind in PAGE_KINDS))
    assert (RUNBOOKS / INDEX).read_text() == wanted, f"rewrite it with: {COMMAND}"


def anchors(page: Path) -> set[str]:
    """What a link may name in a page: GitHub's words for its headings, and anchors of its own."""
    text = page.read_text()
    slugs = {
        re.sub(r"[^\w\- ]", "", title.replace("`", "")).lower().replace(" ", "-") for title in HEADING.findall(text)
    }
    return slugs | set(ANCHOR.findall(text))


@pytest.mark.parametrize("page", sorted(RUNBOOKS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_and_to_a_place_in_it(page: Path) -> None:
    broken = []
    for target in LINK.findall(page.read_text()):
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        if "://" not in target and (not there.is_file() or (anchor and anchor not in anchors(there))):
            broken.append(target)
    assert broken == []


def test_a_page_without_front_matter_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "a.md").write_text("# No front matter\n")
    with pytest.raises(ValueError, match=r"a\.md: the page has no front matter"):
        read_pages(tmp_path, "checks")


def test_front_matter_ends_at_its_second_marker() -> None:
    assert front_matter("---\ntitle: A\n---\n---\n") == {"title": "A"}


# -- parsing

HEAD = """---
title: Mend it
symptoms: [It is broken]
checks: [gateway.ready]
places:
  TENANT: the tenant
conditions:
  well: gw health TENANT
---
# Mend it
"""
RUN = "<!-- run: needs=gw,gw-oncall before=anything after=well changes=asked -->\n"
BLOCK = "```sh\ngw restart agent TENANT\n```\n"


def parsed(body: str, head: str = HEAD) -> Page:
    return parse_page(head + body, name="mend", path="procedures/mend.md", kind=Kind.PROCEDURE)


def test_a_step_has_what_its_note_says_and_the_note_is_not_for_people() -> None:
    page = parsed(f"\n## With gw\n\n1. Do it.\n\n   {RUN}   ```sh\n   gw restart \\\n     agent TENANT\n   ```\n")
    (step,) = page.steps
    assert isinstance(step, Block)
    assert (step.number, step.section, step.line) == (1, "With gw", 16)
    assert step.script == "gw restart \\\n  agent TENANT\n"
    assert (step.needs, step.before, step.after) == ((Need.GW, Need.ONCALL), (), ("well",))
    assert (step.changes, step.exits, step.is_aside) == (Changes.ASKED, frozenset({0}), False)
    assert "run:" not in page.text
    assert page.text.startswith("# Mend it\n")
    assert [section.title for section in page.sections] == ["Mend it", "With gw"]


def test_a_persons_step_has_the_words_of_its_paragraph() -> None:
    page = parsed(
        "<!-- person: needs=github-owner before=well after=anything path=aside -->\n"
        "1. Revoke **the key** in\n   [the settings](a.md).\n\nMore.\n"
    )
    (step,) = page.steps
    assert isinstance(step, Deed)
    assert step.text == "Revoke the key in the settings."
    assert step.is_aside


def test_a_step_says_when_it_waits_for_a_person_and_what_a_person_s_step_tells() -> None:
    waiting = RUN.replace("asked", "asked exits=0,3 waits=2 confirm=TENANT")
    person = "<!-- person: needs=gw before=anything after=anything gives=TENANT -->\nLook the tenant up.\n"
    deed, block = parsed(f"{person}\n{waiting}{BLOCK}").steps
    assert isinstance(deed, Deed)
    assert isinstance(block, Block)
    assert deed.gives == ("TENANT",)
    assert (block.exits, block.waits, block.confirm) == (frozenset({0, 3}), frozenset({2}), "TENANT")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BLOCK, "line 11: a shell block says nothing of what it needs"),
        (RUN.replace("changes", "changed") + BLOCK, "line 11: 'changed=asked' is nothing that a run: note says"),
        (RUN.replace(" changes=asked", "") + BLOCK, "the run: note lacks changes="),
        (RUN.replace("asked", "asked changes=no") + BLOCK, "'changes=no' is nothing that a run: note says, or is said"),
        (RUN.replace("gw-oncall", "root") + BLOCK, "needs=root: known are gw, kubectl"),
        (RUN.replace("asked", "perhaps") + BLOCK, "changes=perhaps: known are no, yes, asked"),
        (RUN.replace("asked", "asked exits=ok") + BLOCK, "exits=ok: write exit codes with commas"),
        (RUN.replace("asked", "asked waits=2,") + BLOCK, "waits=2,: write exit codes with commas"),
        (RUN.replace("asked", "asked path=main") + BLOCK, "path=main: known is aside"),
        (RUN.replace("after=well", "after=good") + BLOCK, "the condition good is not declared"),
        (RUN.replace("asked", "asked confirm=GROUP") + BLOCK, "the place GROUP is not declared"),
        (RUN + BLOCK.replace("TENANT", "TENANT GROUP"), "the place GROUP is not declared"),
        (RUN + "\n" + BLOCK, "a run: note stands above the wrong thing"),
        (RUN + "```yaml\na: b\n```\n", "a run: note stands above the wrong thing"),
        (RUN, "line 11: the note is about nothing"),
        (RUN + "```sh\ngw health\n", "the block has no end"),
        (RUN + "  ```sh\n  gw health\n  ```\n", "the note is not indented as its block is"),
        ("<!-- person: needs=gw before=anything after=anything -->\n" + BLOCK, "a person: note stands above the wrong"),
        ("<!-- person: needs=gw before=anything after=anything -->\n\nText.\n", "the note is about nothing"),
        (
            "<!-- person: needs=gw before=anything after=anything gives=GROUP -->\nLook.\n",
            "the place GROUP is not decl",
        ),
    ],
)
def test_a_page_that_a_machine_could_misread_is_refused_with_its_line(body: str, said: str) -> None:
    with pytest.raises(PageProblem, match=re.escape(said)):
        parsed(body)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("symptoms:", "symptom:", "the front matter has the unknown key symptom"),
        ("TENANT: the", "TEAM: the", "TEAM is no word that stands for anything"),
        ("gw health TENANT", "gw health GROUP", "the condition well uses the place GROUP, which is not declared"),
        ("well:", "Well:", "Well is no name of a condition"),
        ("---\n# Mend", "# Mend", "the page has no front matter"),
    ],
)
def test_a_front_matter_that_says_too_much_or_too_little_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(PageProblem, match=said):
        parsed("", HEAD.replace(old, new, 1))


# -- places


def test_a_place_is_a_whole_word_and_no_variable_of_the_shell() -> None:
    text = 'gw x TENANT/TENANT-a "$TENANT" TENANTS KEY_FILE {"KEY":"AMOUNT"}'
    assert places_in(text) == {"TENANT", "KEY_FILE", "KEY", "AMOUNT"}
    values = {"TENANT": "a", "KEY_FILE": "k.pem", "KEY": "pods", "AMOUNT": "5"}
    assert fill(text, values) == 'gw x a/a-a "$TENANT" TENANTS k.pem {"pods":"5"}'


@pytest.mark.parametrize("place", FORMS)
def test_the_example_of_a_place_is_a_value_of_it(place: str) -> None:
    assert check_value(place, FORMS[place].example) == FORMS[place].example


@pytest.mark.parametrize("place", FORMS)
@pytest.mark.parametrize(
    "value", ["", "-x", "--yes", "a b", "a;b", "a\nb", "$(b)", "`b`", "a|b", "a'b", 'a"b', "a\\b", "*", "~a", "a&", "é"]
)
def test_a_value_that_a_shell_would_read_is_refused(place: str, value: str) -> None:
    with pytest.raises(Refused, match=f"{place} cannot be"):
        check_value(place, value)


@given(place=st.sampled_from(sorted(FORMS)), value=st.text(max_size=30))
def test_no_value_that_is_taken_means_anything_to_a_shell(place: str, value: str) -> None:
    try:
        check_value(place, value)
    except Refused:
        return
    assert re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", value)
    assert not value.startswith("-")


def test_every_place_is_used_by_a_page() -> None:
    assert {place for page in read_library() for place in page.places} == set(FORMS)


# -- finding


def test_the_pages_of_a_work_tree_are_those_of_the_tree() -> None:
    assert pages_folder() == RUNBOOKS


def test_what_stands_in_title_or_symptoms_comes_before_what_is_mentioned() -> None:
    pages = read_library()
    for words, best in (
        (["rotate", "KEY"], "rotate-key"),
        (["jobs_acquired_total stops"], "slo-jobs-acquired"),
        (["ActionsGatewayNoActiveSessions"], "sessions-zero"),
        (["wrong hands"], "key-compromise"),
    ):
        assert search(pages, words)[0].page.name == best
    assert search(pages, ["quota", "no-such-word"]) == ()
    assert search(pages, []) == ()


def test_a_page_is_found_by_name_path_check_and_alert() -> None:
    pages = read_library()
    for word in ("session.open", "checks/session.open.md", "runbooks/checks/session.open.md"):
        assert find_page(pages, word).name == "session.open"
    for word in ("ActionsGatewayNoActiveSessions", "runbooks/alerts/sessions-zero.md#actionsgatewaynoactivesessions"):
        assert find_page(pages, word).name == "sessions-zero"
    with pytest.raises(Refused, match="there is no page adjust-qota") as caught:
        find_page(pages, "adjust-qota")
    assert "Did you mean adjust-quota" in caught.value.next_step


def test_a_section_is_found_by_the_beginning_of_its_title() -> None:
    page = find_page(read_library(), "adjust-quota")
    assert find_section(page, "with k").title == "With kubectl"
    with pytest.raises(Refused, match="several sections 'With'"):
        find_section(page, "With")
    with pytest.raises(Refused, match="no section 'Nowhere'"):
        find_section(page, "Nowhere")
