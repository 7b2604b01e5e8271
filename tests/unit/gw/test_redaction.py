"""Values of secret names go, in whichever shape text gives them; what stands around them stays."""

import base64
import json
import shlex
import string
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from actions_gateway.api import labels
from gw.ops.redaction import LineRedactor, Rule, mark, redact_object, redact_text

NAMED, URL_USER = mark(Rule.NAMED_VALUE), mark(Rule.URL_USER)
PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " éß€"
BARE = "".join(letter for letter in PRINTABLE if letter not in " \"'&,;\\")
NO_VALUES = {"true", "false", "null", "none", "nil"}
"""What text says where there is no value."""

values = st.text(PRINTABLE, min_size=1, max_size=40)
bare_values = st.text(BARE, min_size=1, max_size=40).filter(lambda value: value.lower() not in NO_VALUES)
NAMES = (
    "password",
    "DB_PASS",
    "MYSQL_PASS",
    "dbPass",
    "MYSQL_PWD",
    "pwd",
    "TOKEN",
    "client_secret",
    "apiKey",
    "_auth",
    "_authToken",
    "passphrase",
    "AWS_SECRET_ACCESS_KEY",
)
names = st.sampled_from(NAMES)
around = st.sampled_from([("", ""), ("ran with ", " and ended"), ("a=1 ", " b=2"), ("(first) ", " at 08:00:01")])


def redacted(text: str) -> tuple[str, list[Rule]]:
    found: list[Rule] = []
    return redact_text(text, found.append), found


def by_name(text: str) -> str:
    """The text, of which values went for their names alone; other shapes have tests of their own."""
    clean, rules = redacted(text)
    assume(set(rules) <= {Rule.NAMED_VALUE})
    return clean


@given(name=names, value=bare_values, sides=around, export=st.sampled_from(["", "export "]))
@example(name="DB_PASS", value="hunter", sides=("", ""), export="")
def test_an_assignment(name: str, value: str, sides: tuple[str, str], export: str) -> None:
    before, after = sides
    assume(value != "=")  # A comparison: name== other.
    assert by_name(f"{before}{export}{name}={value}{after}") == f"{before}{export}{name}={NAMED}{after}"


@given(name=names, value=bare_values, sides=around, sign=st.sampled_from([" = ", " := ", "  =\t"]))
def test_a_spaced_assignment(name: str, value: str, sides: tuple[str, str], sign: str) -> None:
    before, after = sides
    assume(before or not after)  # At the beginning of a line a file may have a passphrase of several words.
    assert by_name(f"{before}{name}{sign}{value}{after}") == f"{before}{name}{sign}{NAMED}{after}"


@given(name=names, value=values, sides=around, sign=st.sampled_from(["=", " = ", ": ", ":"]))
@example(name="PASSWORD", value="a b c", sides=("export ", "; ls"), sign="=")
def test_a_value_in_double_quotes(name: str, value: str, sides: tuple[str, str], sign: str) -> None:
    before, after = sides
    text = f"{before}{name}{sign}{json.dumps(value, ensure_ascii=False)}{after}"
    assert by_name(text) == f'{before}{name}{sign}"{NAMED}"{after}'


@given(name=names, value=values, sides=around)
@example(name="TOKEN", value="x y", sides=("export ", ""))
def test_a_value_as_a_shell_quotes_it(name: str, value: str, sides: tuple[str, str]) -> None:
    before, after = sides
    # A shell takes a backslash before the last quote as it is; other languages take the quote for a part of the value.
    assume(not value.endswith("\\"))
    quoted = shlex.quote(value)
    assume(quoted != value)
    assert by_name(f"{before}{name}={quoted}{after}") == f"{before}{name}='{NAMED}'{after}"


@given(name=names, value=values, other=values, depth=st.integers(1, 3))
def test_a_field_of_a_document_at_any_depth_of_quoting(name: str, value: str, other: str, depth: int) -> None:
    def at_depth(document: Any) -> str:
        for _ in range(depth):
            document = json.dumps(document)
        return str(document)

    assume(depth == 1 or not value.endswith("\\"))
    assume(by_name(other) == other)
    clean = by_name(at_depth({"user": other, name: value, "n": 1}))
    assert clean == at_depth({"user": other, name: NAMED, "n": 1})


@given(name=names, number=st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
@example(name="password", number=123456)
def test_a_number_in_a_document_is_a_value_and_the_document_stays_one(name: str, number: float) -> None:
    document = {name: number, "attempts": 3}
    for text in (json.dumps(document), json.dumps(document, separators=(",", ":")), json.dumps(document, indent=1)):
        assert json.loads(by_name(text)) == {name: NAMED, "attempts": 3}
    inner = json.loads(by_name(json.dumps({"body": json.dumps(document)})))["body"]
    assert json.loads(inner) == {name: NAMED, "attempts": 3}
    assert redact_object(document, lambda *_: None) == {name: NAMED, "attempts": 3}


@pytest.mark.parametrize("value", [True, False, None])
def test_what_is_no_value_stays(value: bool | None) -> None:
    text = json.dumps({"automountServiceAccountToken": value, "password": value})
    assert redacted(text) == (text, [])
    assert redact_object(json.loads(text), lambda *_: None) == json.loads(text)


@given(value=bare_values, sides=around, name=st.sampled_from(["password", "DB_PASS", "pwd", "client_secret", "apiKey"]))
@example(value="hunter", sides=("", ""), name="password")
def test_a_word_after_a_colon(value: str, sides: tuple[str, str], name: str) -> None:
    before, after = sides
    assume(before or not after)
    assume(not value.startswith("//"))
    assert by_name(f"{before}{name}: {value}{after}") == f"{before}{name}: {NAMED}{after}"


@given(value=bare_values, name=st.sampled_from(["token", "secret", "auth", "pass", "access-token"]))
def test_a_word_of_sentences_that_begins_a_line_with_one_value(value: str, name: str) -> None:
    assume(not value.startswith("//"))
    assert by_name(f"server:\n  {name}: {value}\n  port: 1") == f"server:\n  {name}: {NAMED}\n  port: 1"


@given(words=st.lists(st.text(string.ascii_letters, min_size=1, max_size=9), min_size=2, max_size=5))
@pytest.mark.parametrize("form", ["{}: {}", "{} = {}"])
def test_a_passphrase_of_several_words_in_a_file(form: str, words: list[str]) -> None:
    assume(words[0].lower() not in NO_VALUES)
    text = "\n".join(["[database]", form.format("password", " ".join(words)), "host=x"])
    assert by_name(text) == "\n".join(["[database]", form.format("password", NAMED), "host=x"])
    embedded = by_name(json.dumps({"event": text}))
    assert json.loads(embedded) == {"event": "\n".join(["[database]", form.format("password", NAMED), "host=x"])}


@given(value=bare_values, sides=around, flag=st.sampled_from(["--password", "--db-pass", "-token", "--api-key"]))
@example(value="hunter2", sides=("", ""), flag="--password")
def test_a_flag_inside_of_a_string(value: str, sides: tuple[str, str], flag: str) -> None:
    assume(not value.startswith(("--", ":", "=")))
    before, after = sides
    assert by_name(f"{before}mysql {flag} {value}{after}") == f"{before}mysql {flag} {NAMED}{after}"
    assert by_name(f"{before}mysql {flag}={value}{after}") == f"{before}mysql {flag}={NAMED}{after}"


@given(value=values)
def test_a_flag_with_a_quoted_value_and_one_in_a_list(value: str) -> None:
    quoted = json.dumps(value)
    assert by_name(f"run --password {quoted} -v") == f'run --password "{NAMED}" -v'
    assert json.loads(by_name(json.dumps(["run", "--password", value, "-v"]))) == ["run", "--password", NAMED, "-v"]


@given(
    password=st.text(BARE + "&,;\\<>", min_size=1, max_size=40), tail=st.sampled_from(["", "/a/b", ":3128/", "?x=1"])
)
@example(password="pa/ss@w0rd", tail="/a/b")
@example(password="@@//", tail="")
def test_a_password_in_an_address(password: str, tail: str) -> None:
    clean, rules = redacted(f"proxy at https://user:{password}@proxy.example{tail} failed")
    assert rules == [Rule.URL_USER]
    assert clean == f"proxy at https://{URL_USER}@proxy.example{tail} failed"


@given(secret=st.text(BARE, min_size=2, max_size=40), user=st.sampled_from(["bob", "ci"]))
def test_the_registries_of_a_pull_secret_and_of_npm(secret: str, user: str) -> None:
    auth = base64.b64encode(f"{user}:{secret}".encode()).decode()
    config = {"auths": {"ghcr.io": {"auth": auth, "email": "a@b.example"}}}
    wanted = {"auths": {"ghcr.io": {"auth": NAMED, "email": "a@b.example"}}}
    assert json.loads(by_name(json.dumps(config))) == wanted
    assert redact_object(config, lambda *_: None) == wanted
    encoded = base64.b64encode(json.dumps(config).encode()).decode()
    clean, _ = redacted(f".dockerconfigjson: {encoded} .")
    assert not [part for part in range(len(encoded) - 8) if encoded[part : part + 8] in clean]
    assert by_name(f"//npm.example/:_auth={auth}\nx=1") == f"//npm.example/:_auth={NAMED}\nx=1"
    assert by_name(f"//npm.example/:_authToken={secret}x") == f"//npm.example/:_authToken={NAMED}"


@given(value=st.text(string.ascii_letters + string.digits, min_size=1, max_size=20))
def test_pairs_beside_one_another(value: str) -> None:
    assume(value.lower() not in NO_VALUES)
    assert by_name(f"/login?token={value}&page=2") == f"/login?token={NAMED}&page=2"
    assert by_name(f"Server=db;Pwd={value};Initial Catalog=x") == f"Server=db;Pwd={NAMED};Initial Catalog=x"
    assert by_name(f"TOKEN= PASSWORD={value}") == f"TOKEN= PASSWORD={NAMED}"
    assert by_name(f"map[password:{value} user:bob]") == f"map[password:{NAMED} user:bob]"


@given(name=st.sampled_from(["DB_PASS", "PASS", "MYSQL_PWD", "REGISTRY_AUTH", "PASSPHRASE"]), value=values)
def test_an_environment_variable_of_an_object(name: str, value: str) -> None:
    clean = redact_object({"env": [{"name": name, "value": value}, {"name": "HOME", "value": "/x"}]}, lambda *_: None)
    assert clean["env"] == [{"name": name, "value": mark(Rule.ENVIRONMENT)}, {"name": "HOME", "value": "/x"}]


@given(name=names, value=values)
def test_what_is_redacted_once_is_not_changed_again(name: str, value: str) -> None:
    for text in (f"{name}={value}", f"{name}: {value}", json.dumps({name: value}), f"--{name} {value}"):
        clean, _ = redacted(text)
        assert redacted(clean) == (clean, [])


@pytest.mark.parametrize("before", ["--password=", "token = ", "--token ", "secret: x1234567"])
def test_a_document_in_place_of_a_value_leaves_none_of_its_own(before: str) -> None:
    for document in (
        '{"client_secret": "hunter2"}',
        '{"a": 1, "pwd": 4711, "token": "x y"}',
        "{'password' : 'hunter2'}",
    ):
        clean, _ = redacted(f"run {before}{document} now")
        assert not [part for part in ("hunter2", "4711", "x y") if part in clean], clean
        assert clean.startswith("run ")


def test_what_follows_a_token_in_a_value_goes_with_it() -> None:
    assert redacted(f"password=ghs_{'A1' * 9}$ecret x")[0] == f"password={NAMED} x"


@pytest.mark.parametrize(
    "text",
    [
        "could not mint a token: GitHub answers 401",
        "the Secret team-a/github-app: not found",
        "first pass: 12 pods, second pass: 3",
        "bypass: on, compass: north",
        'MountVolume.SetUp failed for volume "app-token" : secret "app-token" not found',
        'secrets "registry-auth" is forbidden: User "eve" cannot get resource "secrets"',
        '{"event": "key rotated", "secret": "github-app-v12", "level": "info"}',
        "works with the secret: github-app-v3",
        f"{labels.CREDENTIAL_SECRET}: tenant-key-00012345",
        f'{{"{labels.CREDENTIAL_SECRET}": "tenant-key-00012345"}}',
        "assertion failed: token == other",
        "http://prometheus.monitoring:9090/api/v1/query?query=up",
        "docker-pullable://localhost:5000/x@sha256:" + "0123456789abcdef" * 4,
        "https://github.com/octo/demo/actions/runs/17000000001 by mona@example.com",
        "tokens: 12, secrets: 3, passed: 4, keys: 1",
        '{"secretName": "app", "secretKeyRef": {"name": "app", "key": "privateKey"}}',
    ],
)
def test_what_is_a_sentence_a_reference_or_a_number_of_things_stays(text: str) -> None:
    assert redacted(text) == (text, [])
    assert LineRedactor(lambda _: None).redact(text) == text


def test_a_document_in_yaml_keeps_its_shape() -> None:
    document = {"user": "bob", "password": "hunter", "auth": "dXNlcjpwYXNz", "list": [{"token": "abc"}], "port": 1}
    clean = yaml.safe_load(redacted(yaml.safe_dump(document))[0])
    # A mark without quotes is a list to YAML.
    assert clean == document | {
        "password": [{"removed": "named-value"}],
        "auth": [{"removed": "named-value"}],
        "list": [{"token": [{"removed": "named-value"}]}],
    }
