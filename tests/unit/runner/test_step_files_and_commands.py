"""What steps say through their output and their files: commands, outputs, variables, and secrets that stay hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.runner.commands import annotation, parse_command
from gateway_sandbox.runner.filecommands import FileCommandError, parse_pairs, parse_path_entries
from gateway_sandbox.runner.masking import Masker


@pytest.mark.parametrize(
    ("line", "name", "properties", "text"),
    [
        ("::error::broken", "error", {}, "broken"),
        ("  ::error::indented", "error", {}, "indented"),
        ("::ERROR::upper", "error", {}, "upper"),
        ("::warning file=a.py,line=3,col=5::w", "warning", {"file": "a.py", "line": "3", "col": "5"}, "w"),
        ("::notice title=A%2CB%3A%25::x%0Ay%25", "notice", {"title": "A,B:%"}, "x\ny%"),
        ("::error file= , line=::m", "error", {"file": "", "line": ""}, "m"),
        ("::endgroup::", "endgroup", {}, ""),
        ("::group::a::b", "group", {}, "a::b"),
        ("##[error]old", "error", {}, "old"),
        ("text ##[warning file=x;line=1]old", "warning", {"file": "x", "line": "1"}, "old"),
        ("##[section]x%3By", "section", {}, "x%3By"),
    ],
)
def test_a_line_is_this_command(line: str, name: str, properties: dict[str, str], text: str) -> None:
    command = parse_command(line)
    assert command is not None
    assert (command.name, command.properties, command.text) == (name, properties, text)


@pytest.mark.parametrize("line", ["", "plain", "::", "::error", ":: ::x", "a ::error::x", "##[", "##[]x", "::1st::x"])
def test_a_line_is_no_command(line: str) -> None:
    assert parse_command(line) is None


@given(st.text(max_size=60))
def test_any_line_is_a_command_or_none(line: str) -> None:
    parse_command(line)


def test_an_annotation_takes_its_place_from_the_properties() -> None:
    command = parse_command("::error file=a.py,line=3,endLine=4,col=7,title=T::m")
    assert command is not None
    found = annotation(command, step_number=2)
    assert {key: found[key] for key in ("level", "message", "title", "path", "startLine", "endLine", "stepNumber")} == {
        "level": "FAILURE", "message": "m", "title": "T", "path": "a.py", "startLine": 3, "endLine": 4, "stepNumber": 2,
    }  # fmt: skip
    assert (found["startColumn"], found["endColumn"]) == (7, 7)


def test_numbers_that_are_none_count_as_missing() -> None:
    command = parse_command("::warning line=three::m")
    assert command is not None
    assert annotation(command, step_number=1)["startLine"] == 0


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("a=1\nb=2\n", {"a": "1", "b": "2"}),
        ("a=1\r\nb=2\r\n", {"a": "1", "b": "2"}),
        ("a=x=y<<z\n", {"a": "x=y<<z"}),
        ("a=\n", {"a": ""}),
        ("a<<E\none\ntwo\nE\nb=3", {"a": "one\ntwo", "b": "3"}),
        ("a<<E\nE\n", {"a": ""}),
        ("a<<E=F\nx\nE=F\n", {"a": "x"}),
        ("a<<E\nE \nE\n", {"a": "E "}),
        ("a=1\na=2\n", {"a": "2"}),
    ],
)
def test_pairs_of_a_file(text: str, pairs: dict[str, str]) -> None:
    assert parse_pairs(text) == pairs


@pytest.mark.parametrize("text", ["just text", "=value", "<<E\nx\nE", "a<<\nx\n", "a<<E\nx\n"])
def test_a_broken_file_is_refused(text: str) -> None:
    with pytest.raises(FileCommandError):
        parse_pairs(text)


NAMES = st.text(alphabet="abcXYZ_1", min_size=1, max_size=6)


@given(st.dictionaries(NAMES, st.text(alphabet="ab=<\n ", max_size=12), max_size=4))
def test_blocks_carry_any_value(pairs: dict[str, str]) -> None:
    text = "".join(f"{name}<<-end-\n{value}\n-end-\n" for name, value in pairs.items())
    assert parse_pairs(text) == pairs


def test_path_entries_are_lines() -> None:
    assert parse_path_entries("/a\n\n/b c\r\n") == ["/a", "/b c"]


def test_masks_hide_values_lines_and_patterns() -> None:
    masker = Masker()
    masker.add("secret")
    masker.add("secret-longer")
    masker.add("first line\nsecond line")
    masker.add("   ")
    masker.add_pattern(r"card-\d+")
    masker.add_pattern("(?<net>only")
    text = "secret-longer secret second line card-42 (?<net>only   end"
    assert masker.mask(text) == "*** *** *** *** ***   end"


@given(st.lists(st.text(min_size=1, max_size=6), max_size=4), st.text(max_size=30))
def test_a_masked_text_holds_no_secret(secrets: list[str], text: str) -> None:
    masker = Masker()
    kept = [secret for secret in secrets if secret.strip() and "*" not in secret and secret not in "***"]
    for secret in kept:
        masker.add(secret)
    masked = masker.mask(text).replace("***", "\0")
    assert [secret for secret in kept if secret in masked and "\0" not in secret] == []
