"""Jobs through the wrapper and the fake worker: what steps may do, what is reported, and how a job ends."""

import os
import select
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway_sandbox.certificates import GITHUB_ADDRESS, SandboxCertificates
from gateway_sandbox.runner.contextdata import encode_context
from support.aio import run
from support.connect_proxy import connect_proxy

from .harness import GITHUB_TOKEN, JOB_TOKEN, Pod, Service, expression, job_message, step

CHECKOUT = {
    "type": "action",
    "reference": {"type": "repository", "name": "actions/checkout", "ref": "v4", "path": ""},
    "id": "co",
    "contextName": "checkout",
    "condition": "success()",
    "inputs": {"type": 2, "map": []},
}


def execute(pod: Pod, steps: list[dict[str, Any]], **parts: Any) -> tuple[int, Service]:
    """Runs one job against a fresh service; returns the exit code and what the service was told."""
    service = Service()

    async def main() -> int:
        async with service.serve():
            pod.set_job(service.job_message(steps, **parts))
            return await pod.run()

    return run(main()), service


def mapping(**pairs: Any) -> dict[str, Any]:
    return {"type": 2, "map": [{"Key": key, "Value": value} for key, value in pairs.items()]}


# ------------------------------------------------------------------------------------------------ reports


def test_steps_log_outputs_and_conclusion_are_reported_with_the_jobs_token(pod: Pod) -> None:
    steps = [
        step("echo one; echo n=42 >> $GITHUB_OUTPUT", name="first", displayNameToken="First"),
        step(expression("format('echo two-{0}', steps.first.outputs.n)"), name="second", displayNameToken="Second"),
    ]
    code, service = execute(pod, steps, jobOutputs=mapping(answer=expression("steps.first.outputs.n")))
    assert code == 0
    assert [service.steps[name]["conclusion"] for name in ("Set up job", "First", "Second", "Complete job")] == (
        ["success"] * 4
    )
    assert [item["number"] for item in service.step_reports[-1]] == [1, 2, 3, 4]
    assert service.steps["First"]["started_at"] <= service.steps["Second"]["started_at"]
    assert "\none\n" in service.log
    assert "\ntwo-42\n" in service.log
    assert "##[group]Run echo two-42" in service.log
    completion = service.completion
    assert (completion["planId"], completion["jobId"], completion["conclusion"]) == ("plan-1", "job-1", "succeeded")
    assert completion["outputs"] == {"answer": {"value": "42"}}
    assert [item["conclusion"] for item in completion["stepResults"]] == ["succeeded"] * 4
    assert service.tokens == {f"Bearer {JOB_TOKEN}"}


def test_progress_is_seen_while_the_job_runs(pod: Pod) -> None:
    service, gate = Service(), pod.folder / "gate"
    script = f"echo waiting; until [ -e {gate} ]; do sleep 0.02; done"
    steps = [step(script, displayNameToken="Wait"), step("true", name="next", displayNameToken="Next")]

    async def main() -> int:
        async with service.serve():
            pod.set_job(service.job_message(steps))
            await pod.start()
            while not (service.step_reports and "\nwaiting\n" in service.log):
                await service.told.wait()
                service.told.clear()
            gate.touch()
            return await pod.end()

    assert run(main()) == 0
    seen = [{item["name"]: item["status"] for item in report} for report in service.step_reports]
    assert {"Set up job": "completed", "Wait": "in_progress", "Next": "queued", "Complete job": "queued"} in seen


def test_the_log_is_also_the_pods_log(pod: Pod) -> None:
    code, service = execute(pod, [step("echo to both")])
    assert code == 0
    assert all(line in pod.output for line in service.log.splitlines())


def test_a_failing_step_fails_the_job_and_leaves_the_others_out(pod: Pod) -> None:
    steps = [
        step("echo '::error file=a.py,line=3::broken'; exit 9", name="bad", displayNameToken="Bad"),
        step("echo unreachable", name="next", displayNameToken="Next"),
        step("echo cleaned", name="clean", displayNameToken="Clean", condition="always()"),
        step("echo reacted", name="react", displayNameToken="React", condition="failure()"),
    ]
    code, service = execute(pod, steps)
    assert code == 102
    assert service.completion["conclusion"] == "failed"
    results = {name: service.steps[name]["conclusion"] for name in ("Bad", "Next", "Clean", "React")}
    assert results == {"Bad": "failure", "Next": "skipped", "Clean": "success", "React": "success"}
    messages = [(item["level"], item["message"], item["path"]) for item in service.completion["annotations"]]
    assert messages == [("FAILURE", "broken", "a.py"), ("FAILURE", "Process completed with exit code 9.", "")]
    assert "##[error]Process completed with exit code 9." in service.log


def test_secrets_are_masked_everywhere(pod: Pod) -> None:
    script = f"""
    echo token {GITHUB_TOKEN} job {JOB_TOKEN}
    echo ::add-mask::my-own-secret
    echo now my-own-secret pattern-1234
    echo "::warning::leaks my-own-secret"
    echo leak=my-own-secret >> $GITHUB_OUTPUT
    """
    outputs = mapping(leak=expression("steps.leaky.outputs.leak"))
    code, service = execute(
        pod, [step(script, name="leaky")], jobOutputs=outputs, mask=[{"type": "regex", "value": "pattern-[0-9]+"}]
    )
    assert code == 0
    told = service.log.replace("echo ::add-mask::my-own-secret", "") + str(service.completion) + pod.output
    after_masking = told.split("now ", 1)[1]
    for secret in (GITHUB_TOKEN, JOB_TOKEN):
        assert secret not in told
    assert "pattern-1234" not in after_masking
    assert "leaks my-own-secret" not in str(service.completion)
    assert service.completion["outputs"] == {}
    assert "Skip output 'leak' since it may contain secret." in service.log


def test_a_large_output_arrives_whole_and_in_order(pod: Pod) -> None:
    code, service = execute(pod, [step("seq 1 30000")])
    assert code == 0
    numbers = [int(line) for line in service.log.splitlines() if line.isdigit()]
    assert numbers == list(range(1, 30001))


def test_an_unreachable_results_service_does_not_fail_the_job(pod: Pod) -> None:
    service = Service()

    async def main() -> int:
        async with service.serve():
            message = job_message(
                [step("true")], service_url=f"{service.url}/run/7/", results_url="http://127.0.0.1:9/results/"
            )
            pod.set_job(message)
            return await pod.run()

    assert run(main()) == 0
    assert service.completion["conclusion"] == "succeeded"


@pytest.mark.parametrize(("answers", "code", "posts"), [([401], 1, 1), ([404], 1, 1), ([500, 503], 0, 3)])
def test_completejob_is_repeated_unless_the_job_is_closed(pod: Pod, answers: list[int], code: int, posts: int) -> None:
    service = Service()
    service.complete_statuses = list(answers)
    pod.set_knobs(complete_retry_seconds=0.01)

    async def main() -> int:
        async with service.serve():
            pod.set_job(service.job_message([step("true")]))
            return await pod.run()

    assert run(main()) == code
    assert len(service.completions) == posts


def test_a_private_authority_is_trusted_by_worker_and_steps(pod: Pod, tmp_path: Path) -> None:
    certificates = SandboxCertificates.create(tmp_path / "certificates")
    service = Service()
    pod.environ["GITHUB_CA_CERT_PATH"] = str(certificates.ca_path)

    async def main() -> int:
        async with service.serve(certificates.server_context()):
            pod.set_job(service.job_message([step("echo cert $SSL_CERT_FILE node $NODE_EXTRA_CA_CERTS")]))
            return await pod.run()

    assert run(main()) == 0
    assert service.completion["conclusion"] == "succeeded"
    assert f"cert {pod.home}/ca-bundle.crt node {pod.home}/ca-extra.crt" in service.log
    authority = certificates.ca_pem.strip()
    assert authority in (pod.home / "ca-bundle.crt").read_text()
    assert (pod.home / "ca-extra.crt").read_text().strip() == authority


def test_a_worker_reports_through_the_egress_proxy_and_its_steps_are_told_of_it(pod: Pod, tmp_path: Path) -> None:
    certificates = SandboxCertificates.create(tmp_path / "certificates")
    service = Service()
    pod.environ |= {"GITHUB_CA_CERT_PATH": str(certificates.ca_path), "NO_PROXY": "localhost,127.0.0.1,::1"}

    async def main() -> int:
        async with (
            service.serve(certificates.server_context(), address=GITHUB_ADDRESS),
            connect_proxy() as proxy,
        ):
            pod.environ |= {"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url}
            pod.set_job(service.job_message([step("echo told $https_proxy $HTTP_PROXY $no_proxy")]))
            code = await pod.run()
            assert set(proxy.tunnels) == {service.url.removeprefix("https://")}
            assert f"told {proxy.url} {proxy.url} localhost,127.0.0.1,::1" in service.log
            return code

    assert run(main()) == 0
    assert service.completion["conclusion"] == "succeeded"


def test_a_worker_whose_proxy_refuses_never_goes_around_it(pod: Pod, tmp_path: Path) -> None:
    certificates = SandboxCertificates.create(tmp_path / "certificates")
    service = Service()
    pod.environ["GITHUB_CA_CERT_PATH"] = str(certificates.ca_path)
    pod.set_knobs(complete_attempts=1)

    async def main() -> int:
        async with (
            service.serve(certificates.server_context(), address=GITHUB_ADDRESS),
            connect_proxy() as proxy,
        ):
            proxy.refusal = 403
            pod.environ["HTTPS_PROXY"] = proxy.url
            pod.set_job(service.job_message([step("true")]))
            code = await pod.run()
            assert proxy.tunnels
            return code

    assert run(main()) == 1
    assert service.tokens == set()


def test_an_untrusted_server_is_not_told_the_jobs_token(pod: Pod, tmp_path: Path) -> None:
    certificates = SandboxCertificates.create(tmp_path / "certificates")
    service = Service()
    pod.set_knobs(complete_attempts=1)

    async def main() -> int:
        async with service.serve(certificates.server_context()):
            pod.set_job(service.job_message([step("true")]))
            return await pod.run()

    assert run(main()) == 1
    assert service.tokens == set()


# ------------------------------------------------------------------------------------------------- steps


def test_environments_of_workflow_job_and_step_lie_over_each_other(pod: Pod) -> None:
    parts = {
        "environmentVariables": [mapping(A="workflow", B="workflow", C="workflow"), mapping(B="job", C="job")],
        "contextData": {"matrix": encode_context({"size": "xl"})},
    }
    steps = [
        step(
            "echo $A $B $C $SIZE; echo D=from-file >> $GITHUB_ENV",
            environment=mapping(C="step", SIZE=expression("matrix.size")),
        ),
        step("echo $C $D; echo '${{ env.D }}'", name="second"),
        step(expression("format('echo {0}', env.D)"), name="third"),
    ]
    code, service = execute(pod, steps, **parts)
    assert code == 0
    assert "\nworkflow job step xl\n" in service.log
    assert "\njob from-file\n" in service.log
    assert "Run echo from-file" in service.log


def test_github_env_takes_blocks_and_github_path_comes_first(pod: Pod) -> None:
    steps = [
        step(
            """
            mkdir -p tools; printf '#!/bin/sh\\necho tool runs\\n' > tools/git; chmod +x tools/git
            echo "$PWD/tools" >> $GITHUB_PATH
            { echo 'TEXT<<END'; echo 'line 1'; echo 'line=2'; echo END; } >> $GITHUB_ENV
            """
        ),
        step('git; echo "$TEXT"', name="second"),
    ]
    code, service = execute(pod, steps)
    assert code == 0
    assert "tool runs\nline 1\nline=2\n" in service.log


def test_steps_know_their_run(pod: Pod) -> None:
    script = """
    echo "$GITHUB_REPOSITORY $GITHUB_RUN_ID $GITHUB_JOB $GITHUB_ACTIONS $CI $RUNNER_NAME"
    test "$PWD" = "$GITHUB_WORKSPACE" && test -d "$RUNNER_TEMP" && test -f "$GITHUB_EVENT_PATH"
    [[ $RUNNER_TRACKING_ID == github_* ]]
    env | grep -c gateway_sandbox_source || true
    """
    code, service = execute(pod, [step(script)], github={"gateway_sandbox_source": "/nowhere"})
    assert code == 0, pod.output
    assert "\nocto/demo 17 build true true runner-1\n0\n" in service.log


SHELLS = [
    ("without a shell a pipe's first failure is overlooked", None, "false | true; echo on", 0),
    ("without a shell the first failure ends the step", None, "false; echo on", 102),
    ("bash fails with the pipe", "bash", "false | true; echo on", 102),
    ("sh", "sh", 'test -z "$BASH_VERSION"', 0),
    ("python", "python", "import sys; print('py', sys.version_info[0])", 0),
    ("a command of one's own", "perl {0}" if Path("/usr/bin/perl").exists() else "sh {0}", "exit 0;", 0),
    ("an unknown shell", "fish", "true", 102),
    ("a shell that is not installed", "no-such-shell {0}", "true", 102),
]


@pytest.mark.parametrize(("shell", "script", "code"), [row[1:] for row in SHELLS], ids=[row[0] for row in SHELLS])
def test_shells(pod: Pod, shell: str | None, script: str, code: int) -> None:
    assert execute(pod, [step(script, shell=shell)])[0] == code


def test_defaults_give_shell_and_folder_and_a_step_overrides_them(pod: Pod) -> None:
    defaults = [mapping(run=mapping(shell="bash", **{"working-directory": "sub"}))]
    steps = [
        step("mkdir sub", folder="."),
        step("basename $PWD; shopt -qo pipefail && echo pipefail", name="b"),
        step("basename $PWD", name="c", folder=".", shell="sh"),
    ]
    code, service = execute(pod, steps, defaults=defaults)
    assert code == 0
    assert "\nsub\npipefail\n" in service.log
    assert "\ndemo\n" in service.log


def test_a_missing_working_directory_fails_the_step_with_its_name(pod: Pod) -> None:
    code, service = execute(pod, [step("true", folder="nowhere")])
    assert code == 102
    assert "working directory" in service.log
    assert "nowhere'. No such file or directory" in service.log


def test_a_tolerated_failure_shows_in_the_outcome_only(pod: Pod) -> None:
    steps = [
        step("exit 4", name="soft", displayNameToken="Soft", continueOnError=True),
        step(expression("format('echo {0}/{1}', steps.soft.outcome, steps.soft.conclusion)"), name="look"),
    ]
    code, service = execute(pod, steps)
    assert code == 0
    assert "\nfailure/success\n" in service.log
    assert service.steps["Soft"]["conclusion"] == "success"


def test_a_step_that_takes_too_long_is_ended_with_everything_it_started(pod: Pod) -> None:
    pid_file = pod.folder / "pid"
    script = f"sh -c 'trap \"\" INT TERM; echo $$ > {pid_file}; while :; do sleep 1; done'"
    pod.set_knobs(interrupt_seconds=0.2, terminate_seconds=0.2)
    code, service = execute(pod, [step(script, displayNameToken="Slow", timeoutInMinutes=0.03)])
    assert code == 102
    assert "The action 'Slow' has timed out after 0.03 minutes." in service.log
    assert ends(int(pid_file.read_text()))


def test_what_a_step_leaves_behind_is_killed_at_the_end_of_the_job(pod: Pod) -> None:
    pid_file = pod.folder / "pid"
    script = f"setsid sleep 300 > /dev/null 2>&1 < /dev/null & echo $! > {pid_file}"
    code, service = execute(pod, [step(script), step(f"kill -0 $(cat {pid_file}) && echo still there", name="b")])
    assert code == 0
    pid = int(pid_file.read_text())
    assert "still there" in service.log
    assert f"Terminate orphan process: pid ({pid})" in service.log
    assert ends(pid)


def ends(pid: int) -> bool:
    """Whether the process, which may have been killed a moment ago, comes to its end by itself."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # Readable from the end on, before a new parent has collected the zombie.
        return bool(select.select([descriptor], [], [], 20.0)[0])
    finally:
        os.close(descriptor)


UNSUPPORTED = [
    {"type": "repository", "repositoryType": "GitHub", "name": "actions/setup-python", "ref": "v5", "path": ""},
    {"type": "containerRegistry", "image": "alpine:3"},
    {"type": "repository", "repositoryType": "self", "path": "./.github/actions/own"},
]


@pytest.mark.parametrize("reference", UNSUPPORTED, ids=["an action", "a docker image", "a local action"])
def test_an_action_that_the_sandbox_cannot_run_is_skipped_with_its_reason(pod: Pod, reference: dict[str, Any]) -> None:
    action = {**CHECKOUT, "reference": reference, "contextName": "other", "displayNameToken": "Other"}
    code, service = execute(pod, [action, step("echo goes on", name="next")])
    assert code == 0
    assert service.steps["Other"]["conclusion"] == "skipped"
    assert "the sandbox runs shell steps and actions/checkout" in service.steps["Other"]["reason"]
    assert "\ngoes on\n" in service.log
    assert [item["level"] for item in service.completion["annotations"]] == ["WARNING"]


def test_workflow_commands_shape_the_log(pod: Pod) -> None:
    script = """
    echo ::group::Details
    echo inside
    echo ::endgroup::
    echo "::notice title=Hint::look%0Athere"
    echo ::stop-commands::resume-it
    echo ::error::not an error
    echo ::resume-it::
    echo "::set-output name=old::style"
    echo "a::b and ::unknown:: stay"
    """
    steps = [step(script, name="talk"), step(expression("format('echo {0}', steps.talk.outputs.old)"), name="b")]
    code, service = execute(pod, steps)
    assert code == 0
    assert "##[group]Details\ninside\n##[endgroup]\n##[notice]look\nthere\n" in service.log
    assert "\n::error::not an error\n" in service.log
    assert "\na::b and ::unknown:: stay\n" in service.log
    assert "\nstyle\n" in service.log
    annotations = service.completion["annotations"]
    assert [(item["level"], item["title"]) for item in annotations] == [("NOTICE", "Hint"), ("WARNING", "")]


def test_a_disabled_command_fails_its_step(pod: Pod) -> None:
    code, service = execute(pod, [step("echo '::set-env name=A::b'")])
    assert code == 102
    assert "write to the file $GITHUB_ENV instead" in service.log


def test_a_broken_output_file_fails_the_step(pod: Pod) -> None:
    code, service = execute(pod, [step("echo just text >> $GITHUB_OUTPUT")])
    assert code == 102
    assert "Invalid format 'just text'" in service.log


def test_a_condition_that_cannot_be_evaluated_fails_its_step(pod: Pod) -> None:
    code, service = execute(pod, [step("true", condition="success() && fromJSON('nope')")])
    assert code == 102
    assert "fromJSON" in service.log


# ---------------------------------------------------------------------------------------------- checkout


def test_checkout_copies_the_files_that_git_tracks(pod: Pod, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "kept.txt").write_text("old")
    (source / "gone.txt").write_text("x")
    (source / "link").symlink_to("kept.txt")
    (source / "tool.sh").write_text("#!/bin/sh\necho tool\n")
    (source / "tool.sh").chmod(0o755)
    git(source, "init", "-q")
    git(source, "add", ".")
    (source / "kept.txt").write_text("changed, not committed")
    (source / "gone.txt").unlink()
    (source / "untracked.txt").write_text("x")
    steps = [CHECKOUT, step("cat link; echo; ./tool.sh; ls -A | xargs echo files", name="look")]
    code, service = execute(pod, steps, github={"gateway_sandbox_source": str(source)})
    assert code == 0
    assert "Copied 3 tracked files" in service.log
    assert "\nchanged, not committed\ntool\nfiles kept.txt link tool.sh\n" in service.log


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_checkout_of_a_plain_folder_leaves_caches_out_and_obeys_path(pod: Pod, tmp_path: Path) -> None:
    source = tmp_path / "plain"
    (source / "__pycache__").mkdir(parents=True)
    (source / "__pycache__" / "x.pyc").write_text("x")
    (source / "a.txt").write_text("a")
    checkout = {**CHECKOUT, "inputs": mapping(path="below/here")}
    steps = [checkout, step("find . -type f", name="look")]
    code, service = execute(pod, steps, github={"gateway_sandbox_source": str(source)})
    assert code == 0
    assert "Copied 1 files" in service.log
    assert "\n./below/here/a.txt\n" in service.log


@pytest.mark.parametrize(
    ("source", "inputs", "sentence", "conclusion"),
    [
        (None, {}, "no local tree to check out", "failure"),
        ("/no/such/folder", {}, "is not a folder", "failure"),
        ("/usr/lib/os-release.d", {"path": "../../.."}, "is not under", "failure"),
        ("/tmp", {"repository": "octo/other"}, "the local tree only, not octo/other", "skipped"),
    ],
    ids=["no tree", "not there", "outside", "another repository"],
)
def test_a_checkout_that_cannot_be_done_says_why(
    pod: Pod, source: str | None, inputs: dict[str, str], sentence: str, conclusion: str
) -> None:
    checkout = {**CHECKOUT, "inputs": mapping(**inputs), "displayNameToken": "Checkout"}
    _, service = execute(pod, [checkout], github={"gateway_sandbox_source": source})
    assert service.steps["Checkout"]["conclusion"] == conclusion
    assert sentence in service.log


# ------------------------------------------------------------------------------------- hooks and set-up


def hook(pod: Pod, name: str, script: str) -> None:
    path = pod.folder / f"{name}.sh"
    path.write_text(script)
    pod.environ[f"ACTIONS_RUNNER_HOOK_JOB_{name}"] = str(path)


def test_hooks_run_around_the_job_with_its_variables(pod: Pod) -> None:
    hook(pod, "STARTED", "echo before $GITHUB_RUN_ID")
    hook(pod, "COMPLETED", "echo after")
    code, service = execute(pod, [step("echo between")], environmentVariables=[mapping(A="1")])
    assert code == 0
    order = [line for line in service.log.splitlines() if line.split(" ")[0] in ("before", "between", "after")]
    assert order == ["before 17", "between", "after"]
    assert [item["name"] for item in service.step_reports[-1]] == [
        "Set up job",
        "Set up runner",
        "Run echo between",
        "Complete runner",
        "Complete job",
    ]


def test_a_failing_started_hook_fails_the_job_and_skips_its_steps(pod: Pod) -> None:
    hook(pod, "STARTED", "echo refused; exit 1")
    code, service = execute(pod, [step("echo unreachable")])
    assert code == 102
    assert service.steps["Set up runner"]["conclusion"] == "failure"
    assert "\nunreachable" not in service.log


def test_a_job_with_a_container_is_refused(pod: Pod) -> None:
    steps = [step("echo ran on the host", condition="always()", displayNameToken="Step")]
    code, service = execute(pod, steps, jobContainer={"image": "alpine"})
    assert code == 102
    assert "does not run `container:`" in service.log
    assert "ran on the host" not in service.log
    assert service.steps["Step"]["conclusion"] == "skipped"
    assert service.completion["conclusion"] == "failed"


def test_a_started_hook_may_refuse_a_container_job_in_its_own_words(pod: Pod) -> None:
    hook(pod, "STARTED", "echo '::error::no containers here'; exit 1")
    code, service = execute(pod, [step("true")], jobServiceContainers={"db": {}})
    assert code == 102
    assert "##[error]no containers here" in service.log
    assert "does not run `container:`" not in service.log


def test_a_hook_does_not_see_the_jobs_variables_but_may_set_some(pod: Pod) -> None:
    hook(pod, "STARTED", 'echo "hook sees [$A]"; echo FROM_HOOK=yes >> "$GITHUB_ENV"')
    code, service = execute(pod, [step("echo [$A] $FROM_HOOK")], environmentVariables=[mapping(A="job")])
    assert code == 0
    assert "\nhook sees []\n" in service.log
    assert "\n[job] yes\n" in service.log


def test_a_job_without_repository_fails_in_its_set_up(pod: Pod) -> None:
    code, service = execute(pod, [step("true")], github={"repository": None})
    assert code == 102
    assert service.steps["Set up job"]["conclusion"] == "failure"
