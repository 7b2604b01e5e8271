"""Container paths and variables become this machine's."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.nodes.rewriting import PathMap, expand

PATHS = PathMap(
    {
        "/etc/app": "/pod/app",
        "/etc/app/tls": "/pod/tls",
        "/tmp": "/pod/tmp",
        "/home/runner": "/pod/home",
        "/run/s/": "/pod/s",
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/etc/app", "/pod/app", id="the path itself"),
        pytest.param("/etc/app/key.pem", "/pod/app/key.pem", id="a file below it"),
        pytest.param("/etc/app/tls/ca", "/pod/tls/ca", id="the longest mount wins"),
        pytest.param("/etc/application", "/etc/application", id="not a longer name"),
        pytest.param("/etc/app-old/x", "/etc/app-old/x", id="not a name with a suffix"),
        pytest.param("/etc/app.d", "/etc/app.d", id="not a name with an extension"),
        pytest.param("/var/tmp/x", "/var/tmp/x", id="not inside a longer path"),
        pytest.param("--config=/etc/app/c.yaml", "--config=/pod/app/c.yaml", id="behind an equals sign"),
        pytest.param("/etc/app:/tmp,/home/runner", "/pod/app:/pod/tmp,/pod/home", id="in a list of paths"),
        pytest.param("cat /etc/app/a >/tmp/b", "cat /pod/app/a >/pod/tmp/b", id="in a shell script"),
        pytest.param('cat "/etc/app/a"', 'cat "/pod/app/a"', id="in quotes"),
        pytest.param("${DIR:-/tmp}/x", "${DIR:-/pod/tmp}/x", id="as a shell default"),
        pytest.param("${HOME}/tmp", "${HOME}/tmp", id="not behind a shell variable"),
        pytest.param('"$HOME"/tmp', '"$HOME"/tmp', id="not behind a quoted variable"),
        pytest.param("$(pwd)/tmp", "$(pwd)/tmp", id="not behind a command"),
        pytest.param("/run/s/token", "/pod/s/token", id="a mount path with a slash at its end"),
        pytest.param("no path at all", "no path at all", id="text without a path"),
    ],
)
def test_a_known_prefix_is_replaced_where_it_is_a_path(text: str, expected: str) -> None:
    assert PATHS.rewrite(text) == expected


def test_a_json_document_stays_one_and_only_its_paths_change() -> None:
    document = {
        "match": {"path": "/ready", "prefix": "/"},
        "pattern": "^/tmp(/.*)?$",
        "socket": "@gateway-$(POD_NAME)",
        "log": {"path": "/dev/stdout", "json_format": {"duration": "%DURATION%", "home": "/home/runner/x"}},
        "port_value": "$(PORT)",
    }
    rewritten = json.loads(expand(PATHS.rewrite(json.dumps(document)), {"POD_NAME": "p-1", "PORT": "80"}))
    changed = {"pattern": "^/pod/tmp(/.*)?$", "socket": "@gateway-p-1", "port_value": "80"}
    log = {"path": "/dev/stdout", "json_format": {"duration": "%DURATION%", "home": "/pod/home/x"}}
    assert rewritten == {**document, **changed, "log": log}


def test_a_replacement_is_not_rewritten_again() -> None:
    assert PathMap({"/tmp": "/tmp/sandbox/tmp"}).rewrite("/tmp/a:/tmp/b") == "/tmp/sandbox/tmp/a:/tmp/sandbox/tmp/b"


def test_no_mounts_leave_everything_alone() -> None:
    assert PathMap({}).rewrite("/etc/app") == "/etc/app"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(HOST):$(PORT)", "db:5432"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(HOST)", "$(HOST)"),
        ("cost: $$5", "cost: $5"),
        ("$HOST ${HOST} $(date +%s)", "$HOST ${HOST} $(date +%s)"),
        ("$(HOST", "$(HOST"),
    ],
)
def test_references_expand_as_in_a_container(text: str, expected: str) -> None:
    assert expand(text, {"HOST": "db", "PORT": "5432"}) == expected


@given(st.text(alphabet=st.characters(blacklist_characters="$")))
def test_text_without_a_dollar_sign_never_changes(text: str) -> None:
    assert expand(text, {"A": "b"}) == text
