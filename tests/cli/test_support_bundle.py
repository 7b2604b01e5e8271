"""`gw support-bundle` on a cluster in memory: what is in it, what never is, and its bounds."""

import asyncio
import base64
import hashlib
import json
import random
import re
import stat
import string
import tarfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions_gateway.api import names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.bundle.archive import MANIFEST
from gw.ops.redaction import LineRedactor, redact_object, redact_text

from .double import ClusterDouble
from .objects import agent_pod, container, gateway, healthy_cluster, namespace
from .rig import Gw, check_golden
from .test_events import event
from .test_logs import AGENT, WORKER, entry, line

Manifest = dict[str, Any]
TOKEN = "ghs_" + "Zy9x" * 9
MEBIBYTE = 1024 * 1024


@pytest.fixture
def gw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gw:
    monkeypatch.chdir(tmp_path)
    return Gw(healthy())


def healthy() -> ClusterDouble:
    cluster = ClusterDouble(
        *healthy_cluster(),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}, "status": {"nodeInfo": {"osImage": "x"}}},
        event("one", "Scheduled", "assigned", seconds_ago=100),
        event("old", "Scheduled", "of long ago", seconds_ago=7200),
    )
    cluster.logs[AGENT] = [entry("session opened"), entry("token refreshed", secret="github-app", token=TOKEN)]
    cluster.logs[WORKER] = [line("[WORKER 2026-01-05 08:00:00Z INFO JobRunner] began")]
    for number in (1, 2):
        cluster.logs["team-a", f"{names.PROXY}-abc1{number}", names.PROXY_CONTAINER] = [line("listening")]
    return cluster


def bundled(path: Path) -> dict[str, bytes]:
    """The files of a bundle by their paths inside of its folder."""
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert {(member.mode, member.uid, member.mtime) for member in members} == {(0o600, 0, members[0].mtime)}
        folders = {member.name.partition("/")[0] for member in members}
        assert folders == {path.name.removesuffix(".tar.gz")}
        assert members[0].name.endswith(f"/{MANIFEST}")
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in members
        }


def only_bundle(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_it_holds_versions_checks_objects_events_series_and_logs(gw: Gw, tmp_path: Path) -> None:
    answer = gw("support-bundle", "team-a")
    assert answer.code == 0, answer
    path = only_bundle(tmp_path)
    assert path.name == "gw-support-team-a-20260105T090000Z.tar.gz"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files = bundled(path)
    assert sorted(files) == [
        MANIFEST,
        "events/team-a.json",
        "health.json",
        f"logs/team-a/{AGENT[1]}/agc.log",
        f"logs/team-a/{names.PROXY}-abc11/proxy.log",
        f"logs/team-a/{names.PROXY}-abc12/proxy.log",
        "logs/team-a/runner-team-a-cpu-0001/runner.log",
        "metrics/prometheus.json",
        "objects/cluster/nodes.json",
        "objects/gmc-system/leases.json",
        "objects/team-a/actionsgateways.json",
        "objects/team-a/horizontalpodautoscalers.json",
        "objects/team-a/pods.json",
        "objects/team-a/runnergroups.json",
        "versions.json",
    ]
    assert [each["note"] for each in json.loads(files["events/team-a.json"])] == ["assigned"]
    assert json.loads(files["health.json"])["kind"] == "HealthReport"
    assert len(json.loads(files["health.json"])["checks"]) > 40
    assert json.loads(files["versions.json"])["server"]["version"] == "v1.36.3"
    assert b"began" in files["logs/team-a/runner-team-a-cpu-0001/runner.log"]


def test_the_manifest_lists_every_file_and_each_removal(gw: Gw, tmp_path: Path) -> None:
    pod = agent_pod()
    pod["spec"]["containers"] = [{"name": "agc", "env": [{"name": "PROXY_PASSWORD", "value": "hunter2"}]}]
    gw.cluster.put(pod)
    answer = gw("support-bundle", "team-a", "-o", "json")
    files = bundled(only_bundle(tmp_path))
    manifest = json.loads(files.pop(MANIFEST))
    told = json.loads(answer.out)
    assert (told["version"], told["kind"]) == ("gw/v1", "SupportBundle")
    assert told["sha256"] == hashlib.sha256(only_bundle(tmp_path).read_bytes()).hexdigest()
    assert {key: told[key] for key in manifest if key != "kind"} == {
        key: value for key, value in manifest.items() if key != "kind"
    }
    assert {each["path"]: (each["size"], each["sha256"]) for each in manifest["files"]} == {
        path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items()
    }
    removed = {each["path"]: each["removed"] for each in manifest["files"] if each["removed"]}
    where = f"Pod team-a/{AGENT[1]}: spec.containers[0].env[0].value"
    assert removed["objects/team-a/pods.json"] == [{"rule": "environment", "where": where, "times": 1}]
    assert {each["rule"] for each in removed[f"logs/team-a/{AGENT[1]}/agc.log"]} == {"github-token", "named-value"}
    assert manifest["redaction"]["removed"]["environment"] == 1
    assert b"hunter2" not in files["objects/team-a/pods.json"]
    assert TOKEN not in json.dumps(told)


def worth_keeping(gw: Gw) -> None:
    """A tenant whose bundle has each kind of remark: removed, left out, and not read."""
    pod = agent_pod()
    pod["spec"]["containers"] = [{"name": "agc", "env": [{"name": "PROXY_PASSWORD", "value": "hunter2"}]}]
    gw.cluster.put(pod)
    forbidden = errors.Forbidden('nodes is forbidden: User "tess" cannot list resource "nodes"', status=403)
    gw.cluster.refusals["list", r.NODES.plural] = forbidden
    gw.cluster.refusals["list", r.HPAS.plural] = errors.ServerError("the API server is in trouble", status=500)


def test_what_is_told_is_as_kept(gw: Gw) -> None:
    worth_keeping(gw)
    answer = gw("support-bundle", "team-a")
    assert answer.code == 3, answer
    # How large a file is tells of the checks that there are, and of the library that compresses.
    check_golden("support-bundle.table.txt", re.sub(r"[0-9.]+ (?:bytes|KiB)", "SIZE", answer.out + answer.err))


def test_the_manifest_is_as_kept(gw: Gw, tmp_path: Path) -> None:
    worth_keeping(gw)
    gw("support-bundle", "team-a")
    manifest = json.loads(bundled(only_bundle(tmp_path))[MANIFEST])
    manifest["gw"] = "of today"
    for each in manifest["files"]:
        each |= {"size": 0, "sha256": ""}
    check_golden("support-bundle.manifest.json", json.dumps(manifest, indent=2) + "\n")


def test_the_same_cluster_gives_the_same_bytes(gw: Gw, tmp_path: Path) -> None:
    names_of_files = [str(tmp_path / folder / "b.tar.gz") for folder in ("one", "two")]
    for name in names_of_files:
        Path(name).parent.mkdir()
        assert gw("support-bundle", "team-a", "--output-file", name).code == 0
    one, two = (Path(name).read_bytes() for name in names_of_files)
    assert one == two


def test_what_is_told_is_where_it_is_what_is_in_it_and_what_was_removed(gw: Gw) -> None:
    answer = gw("support-bundle", "team-a")
    first, *rest = answer.out.splitlines()
    assert first.startswith("gw-support-team-a-20260105T090000Z.tar.gz: ")
    assert any(each.split()[:3] == ["logs", "4", "files"] for each in rest)
    assert rest[-1] == "Removed: 1 by github-token, 1 by named-value. MANIFEST.json says where."
    assert "Collecting logs …" in answer.err
    assert gw("support-bundle", "team-a", "--output-file", "x.tar.gz", "-o", "short").out == "x.tar.gz\n"


def test_all_tenants_and_the_platform_without_a_name_and_of_strangers_nothing(gw: Gw, tmp_path: Path) -> None:
    stranger = agent_pod("shop")
    for each in (
        namespace("shop"),
        stranger,
        gateway("team-b"),
        event("x", "Killing", "odd", seconds_ago=1, where="shop"),
    ):
        gw.cluster.put(each)
    assert gw("support-bundle", "-A").code in (0, 1)
    files = bundled(only_bundle(tmp_path))
    gateways = json.loads(files["objects/tenants/actionsgateways.json"])
    assert [each["metadata"]["namespace"] for each in gateways] == ["team-a", "team-b"]
    assert not any("shop" in path for path in files)
    assert b"odd" not in files["events/tenants.json"]
    assert {each["metadata"]["namespace"] for each in json.loads(files["objects/tenants/pods.json"])} == {"team-a"}


def test_the_log_before_a_restart_is_in_it(gw: Gw, tmp_path: Path) -> None:
    gw.cluster.put(agent_pod(containers=[container("agc", restarts=2)]))
    gw.cluster.logs_before[AGENT] = [entry("the run before")]
    gw("support-bundle", "team-a")
    assert b"the run before" in bundled(only_bundle(tmp_path))[f"logs/team-a/{AGENT[1]}/agc.previous.log"]


def test_without_prometheus_the_pods_own_metrics_are_read(gw: Gw, tmp_path: Path) -> None:
    for key in [key for key in gw.cluster.objects if key[0] == r.SERVICES.plural]:
        del gw.cluster.objects[key]
    asked: list[str] = []

    async def read(path: str, *, query: dict[str, str] | None = None) -> bytes:
        asked.append(path)
        return b"actions_gateway_build_info 1\nhalf a li"

    gw.cluster.read = read  # type: ignore[method-assign]
    answer = gw("support-bundle", "team-a")
    assert answer.code == 3
    files = bundled(only_bundle(tmp_path))
    assert files[f"metrics/team-a/{AGENT[1]}.txt"] == b"actions_gateway_build_info 1\n"
    assert f"/api/v1/namespaces/team-a/pods/{AGENT[1]}:8080/proxy/metrics" in asked
    assert f"/api/v1/namespaces/team-a/pods/{names.PROXY}-abc11:8081/proxy/stats/prometheus" in asked
    assert "metrics over time: there is no Prometheus in this cluster" in answer.out


# -- bounds


def test_no_answer_however_large_makes_it_larger_than_was_asked_for(gw: Gw, tmp_path: Path) -> None:
    def noise(number: int) -> bytes:
        return base64.b16encode(hashlib.sha512(str(number).encode()).digest()).lower()

    gw.cluster.logs[AGENT] = [line(f"{number} {noise(number).decode()}") for number in range(8_000)]
    for number in range(3000):
        text = noise(number).decode() * 4
        gw.cluster.put(event(f"e{number}", "Noise", text, seconds_ago=number, about=("Pod", f"p{number}")))
    answer = gw("support-bundle", "team-a", "--max-size", "1MiB")
    assert answer.code == 0, answer
    path = only_bundle(tmp_path)
    assert path.stat().st_size <= MEBIBYTE
    files = bundled(path)
    assert sum(map(len, files.values())) <= MEBIBYTE
    assert files[f"logs/team-a/{AGENT[1]}/agc.log"].splitlines()[-1].split()[1] == b"7999"
    assert b'"note": "' + noise(0) in files["events/team-a.json"]
    cut = {each["path"]: each["cut"] for each in json.loads(files[MANIFEST])["files"] if each["cut"]}
    assert cut["events/team-a.json"].startswith("only the first ")
    assert cut[f"logs/team-a/{AGENT[1]}/agc.log"].endswith(" lines fit")
    assert "Not whole: events/team-a.json, logs/" in answer.out


def test_what_never_answers_costs_its_part_and_the_time_that_was_given(gw: Gw, tmp_path: Path) -> None:
    async def stream(path: str, *, query: dict[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        yield line("the beginning")
        await asyncio.Event().wait()

    gw.cluster.stream = stream  # type: ignore[method-assign]
    answer = gw("support-bundle", "team-a", "--timeout", "0.3")
    assert answer.code == 3, answer
    files = bundled(only_bundle(tmp_path))
    assert b"the beginning" in files[f"logs/team-a/{AGENT[1]}/agc.log"]
    assert "objects/team-a/pods.json" in files
    manifest = json.loads(files[MANIFEST])
    cut = {each["path"]: each["cut"] for each in manifest["files"]}
    assert cut[f"logs/team-a/{AGENT[1]}/agc.log"] == "its end is missing: no time was left for it"
    reasons = {each["what"]: each["reason"] for each in manifest["not_read"]}
    assert reasons["logs"] == "it was given 0.3 s, and took longer"


def test_a_connection_that_is_lost_in_the_middle_leaves_what_was_read_and_says_what_is_missing(
    gw: Gw, tmp_path: Path
) -> None:
    lost = errors.Unreachable("the Kubernetes API server at x gives no answer: refused")
    gw.cluster.refusals["list", r.PODS.plural] = lost
    answer = gw("support-bundle", "team-a")
    assert answer.code == 3
    files = bundled(only_bundle(tmp_path))
    assert "objects/team-a/runnergroups.json" in files
    missing = {each["what"] for each in json.loads(files[MANIFEST])["not_read"]}
    assert {"pods", "objects of tenants: pods"} <= missing
    assert "Not read: pods: the Kubernetes API server at x gives no answer: refused." in answer.out


def test_a_tenants_person_needs_no_right_to_the_platform(gw: Gw, tmp_path: Path) -> None:
    forbidden = errors.Forbidden('nodes is forbidden: User "tess" cannot list resource "nodes"', status=403)
    for resource in (r.NODES, r.CRDS, r.ADMISSIONPOLICIES, r.ADMISSIONPOLICYBINDINGS, r.LEASES):
        gw.cluster.refusals["list", resource.plural] = forbidden
    answer = gw("support-bundle", "team-a")
    assert answer.code == 0, answer
    assert "Left out: objects of the cluster: nodes: nodes is forbidden" in answer.out
    only_bundle(tmp_path).unlink()
    assert gw("support-bundle", "-A").code == 3


def test_a_type_that_a_cluster_does_not_serve_is_named_and_is_no_failure(gw: Gw) -> None:
    gw.cluster.refusals["list", r.ADMISSIONPOLICYBINDINGS.plural] = errors.NotFound("404 page not found", status=404)
    answer = gw("support-bundle", "-A")
    assert answer.code == 0, answer
    assert f"{r.ADMISSIONPOLICYBINDINGS.plural}: this cluster does not serve that type." in answer.out


# -- the file


def test_an_existing_file_is_never_overwritten(gw: Gw, tmp_path: Path) -> None:
    (tmp_path / "mine.tar.gz").write_text("precious")
    answer = gw("support-bundle", "team-a", "--output-file", "mine.tar.gz")
    assert (answer.code, answer.out) == (2, "")
    assert "mine.tar.gz exists, and is not overwritten" in answer.err
    assert (tmp_path / "mine.tar.gz").read_text() == "precious"
    assert gw.targets == []


def test_a_file_that_came_there_meanwhile_is_not_either(gw: Gw, tmp_path: Path) -> None:
    gw.cluster.refusals["list", r.LEASES.plural] = errors.NotFound("gone", status=404)
    pages = gw.cluster.pages

    def pages_and_somebody_else(*arguments: Any, **options: Any) -> Any:
        (tmp_path / "mine.tar.gz").write_text("precious")
        return pages(*arguments, **options)

    gw.cluster.pages = pages_and_somebody_else  # type: ignore[method-assign]
    assert gw("support-bundle", "team-a", "--output-file", "mine.tar.gz").code == 2
    assert [each.name for each in tmp_path.iterdir()] == ["mine.tar.gz"]
    assert (tmp_path / "mine.tar.gz").read_text() == "precious"


@pytest.mark.parametrize(
    "failure",
    [KeyboardInterrupt(), errors.Unauthorized("no", status=401), errors.Unreachable("gone"), RuntimeError("a bug")],
    ids=["interrupted", "not accepted", "no cluster", "a bug"],
)
def test_no_part_of_a_file_is_left_when_it_fails(gw: Gw, tmp_path: Path, failure: BaseException) -> None:
    async def pages(*_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        raise failure
        yield

    if isinstance(failure, errors.KubeError):
        gw.cluster.refusals["*", "*"] = failure
    else:
        gw.cluster.pages = pages  # type: ignore[method-assign]
    assert gw("support-bundle", "team-a").code in (3, 4, 130)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["team-x"], "there is no namespace team-x"),
        (["team-a", "--max-size", "50 megs"], "--max-size '50 megs' is no size"),
        (["team-a", "--max-size", "2KiB"], "from 1MiB to 1GiB"),
        (["team-a", "--timeout", "0"], "nothing comes of no time at all"),
        (["team-a", "--since", "1 day"], "--since"),
        (["team-a", "--output-file", "no/such/folder.tar.gz"], "the folder no/such cannot be written to"),
        (["team-a", "--no-redaction"], "there is no terminal to ask on"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    gw: Gw, tmp_path: Path, arguments: list[str], said: str
) -> None:
    answer = gw("support-bundle", *arguments)
    assert (answer.code, answer.out) == (2, ""), answer
    assert said in answer.err
    assert list(tmp_path.iterdir()) == []


def test_without_redaction_a_person_has_to_agree_and_it_says_what_that_means(gw: Gw, tmp_path: Path) -> None:
    refused = gw("support-bundle", "team-a", "--no-redaction", answer="n\n")
    assert refused.code == 2
    assert "nothing was collected" in refused.err
    assert list(tmp_path.iterdir()) == []
    answer = gw("support-bundle", "team-a", "--no-redaction", answer="y\n")
    assert answer.code == 0
    assert "Nothing was removed: keys and tokens" in answer.out
    files = bundled(only_bundle(tmp_path))
    assert TOKEN.encode() in files[f"logs/team-a/{AGENT[1]}/agc.log"]
    assert json.loads(files[MANIFEST])["redaction"]["is_on"] is False


# -- secrets


def test_no_secret_and_no_configmap_is_asked_for(gw: Gw) -> None:
    for plural in (r.SECRETS.plural, r.CONFIGMAPS.plural):
        for verb in ("get", "list"):
            gw.cluster.refusals[verb, plural] = errors.Forbidden(f"{plural} were asked for", status=403)
    answer = gw("support-bundle", "team-a", "-o", "json")
    missing = json.loads(answer.out)["not_read"]
    assert not any(r.SECRETS.plural in each["reason"] for each in missing), missing


_LETTERS = string.ascii_letters + string.digits


def _body(least: int, most: int = 60) -> st.SearchStrategy[str]:
    """Letters and digits as a generator of keys gives them; simple ones would stand in any text."""
    return st.builds(
        lambda seed, length: "".join(random.Random(seed).choices(_LETTERS, k=length)),
        st.integers(0, 2**32),
        st.integers(least, most),
    )


def _pem(body: str) -> str:
    lines = "\n".join(body[first : first + 64] for first in range(0, len(body), 64))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


def _encoded(text: str) -> tuple[str, tuple[str, ...]]:
    encoded = base64.b64encode(text.encode()).decode()
    return encoded, (encoded[40:80],)


_JWT = st.builds(lambda *parts: "eyJ" + ".".join(parts), _body(10), _body(10), _body(10))
SECRETS: st.SearchStrategy[tuple[str, tuple[str, ...]]] = st.one_of(
    st.builds(lambda body: (f"ghs_{body}", (body,)), _body(20)),
    st.builds(lambda body: (f"github_pat_{body}", (body,)), _body(20)),
    _JWT.map(lambda token: (token, (token[3:],))),
    st.builds(lambda body: (f"Authorization: Bearer {body}", (body,)), _body(12)),
    st.builds(lambda body: (f"proxy at https://user:{body}@proxy.example:3128/", (body,)), _body(12)),
    st.builds(lambda body: (f"password={body} x", (body,)), _body(12)),
    st.builds(lambda body: (f'{{"client_secret": "{body}"}}', (body,)), _body(12)),
    st.builds(lambda body: (_pem(body), (body[:64], body[64:])), _body(80, 128)),
    st.builds(lambda body: (json.dumps({"key": _pem(body)}), (body[:64],)), _body(64, 128)),
    st.builds(lambda body: _encoded(_pem(body)), _body(64, 90)),
)
"""What is planted, and what of it must be nowhere."""
PLACES = ("annotation", "env", "args", "status", "event", "log", "log of the run before", "series", "key")


def _plant(cluster: ClusterDouble, place: str, text: str) -> None:
    pod = cluster.objects[r.PODS.plural, "team-a", AGENT[1]]
    owned = cluster.objects[r.ACTIONSGATEWAYS.plural, "team-a", "team-a"]
    match place:
        case "annotation":
            owned["metadata"].setdefault("annotations", {})["example.com/note"] = f"see {text} there"
        case "key":
            owned["metadata"].setdefault("annotations", {})[text] = "x"
        case "env":
            values = [{"name": "SOME_TOKEN", "value": text}, {"name": "PLAIN", "value": text}]
            pod["spec"]["containers"] = [{"name": "agc", "env": values}]
        case "args":
            pod["spec"]["initContainers"] = [{"name": "i", "args": ["--token", text, f"--password={text}"]}]
        case "status":
            owned["status"]["conditions"][0]["message"] = text
        case "event":
            cluster.put(event("planted", "Failed", text, seconds_ago=5))
        case "log":
            cluster.logs[AGENT] = [line(each) for each in f"first {text}\nlast".split("\n")]
        case "log of the run before":
            pod["status"]["containerStatuses"] = [container("agc", restarts=1)]
            cluster.logs_before[AGENT] = [entry("leak", note=text)]
        case "series":
            cluster.behind["prometheus:9090"] = lambda path, query: (
                200,
                json.dumps(_answer(path, text)).encode(),
            )


def _answer(path: str, text: str) -> Manifest:
    is_range = path.endswith("query_range")
    values: Manifest = {"values": [[1.0, "1"]]} if is_range else {"value": [1.0, "1"]}
    kind = "matrix" if is_range else "vector"
    return {"status": "success", "data": {"resultType": kind, "result": [{"metric": {"note": text}, **values}]}}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(planted=st.lists(st.tuples(st.sampled_from(PLACES), SECRETS), min_size=3, max_size=6))
def test_no_planted_secret_is_in_a_bundle(
    tmp_path_factory: pytest.TempPathFactory, planted: list[tuple[str, tuple[str, tuple[str, ...]]]]
) -> None:
    gw = Gw(healthy())
    for place, (text, _) in planted:
        _plant(gw.cluster, place, text)
    path = tmp_path_factory.mktemp("planted") / "b.tar.gz"
    answer = gw("support-bundle", "team-a", "--output-file", str(path), "-o", "json")
    assert path.is_file(), answer
    with tarfile.open(path) as archive:
        content = b"\n".join(archive.extractfile(each).read() for each in archive.getmembers()).decode()  # type: ignore[union-attr]
    for place, (_, parts) in planted:
        for part in parts:
            assert part not in content + answer.out + answer.err, place


@settings(max_examples=150, deadline=None)
@given(
    planted=SECRETS, before=st.sampled_from(["", "x=", "said: ", '{"note": "', "("]), name=st.sampled_from(["a", "n"])
)
def test_no_planted_secret_is_in_a_line_or_an_object(
    planted: tuple[str, tuple[str, ...]], before: str, name: str
) -> None:
    text, parts = planted
    redactor = LineRedactor(lambda _: None)
    lines = "\n".join(redactor.redact(each) for each in f"{before}{text}".split("\n"))
    kept = redact_object({name: [f"{before}{text}", {text: text}]}, lambda *_: None)
    assert [part for part in parts if part in lines + json.dumps(kept)] == []


@pytest.mark.parametrize(
    "text",
    [
        "could not mint a token: GitHub answers 401",
        "image ghcr.io/x/y@sha256:" + "0123456789abcdef" * 4,
        "runner runner-team-a-cpu-0123456789 of pod 0b2f6a5e-8c1d-4a7b-9e3f-1234567890ab",
        "preferredDuringSchedulingIgnoredDuringExecution",
        "https://github.com/Octo-Org/Some-Repository/actions/runs/17000000001/job/48000000001",
        "key SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
        "/apis/actions-gateway.github.com/v1alpha1/namespaces/team-a/runnergroups/team-a-cpu",
        "Pod/actions-gateway-controller-9t66cvvnr4-v9qm8 of ReplicaSet/actions-gateway-controller-9t66cvvnr4",
    ],
)
def test_what_helps_and_is_no_secret_stays(text: str) -> None:
    assert redact_text(text, lambda _: None) == text


def test_a_key_that_begins_before_the_log_does_is_removed_too() -> None:
    body = base64.b64encode(hashlib.sha512(b"x").digest()).decode()

    def cleaned() -> Iterator[str]:
        redactor = LineRedactor(lambda _: None)
        yield from (redactor.redact(each) for each in (body[:64], body[64:], "-----END PRIVATE KEY-----", "after"))

    assert [body[:20] in each or body[64:80] in each for each in cleaned()] == [False] * 4
    assert list(cleaned())[-1] == "after"
