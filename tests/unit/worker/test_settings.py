"""The wrapper's environment: defaults, errors that name the variable, and what the steps do not inherit."""

import pytest

from actions_gateway.worker.errors import StartError
from actions_gateway.worker.settings import OWN_VARIABLES, Settings, scrubbed


def test_defaults_fit_the_stock_image_and_pod() -> None:
    settings = Settings({})
    assert settings.runner_home == "/home/runner"
    assert settings.payload_folder == "/run/secrets/job-payload"
    assert settings.cancellation_path == "/etc/podinfo/cancellation"
    assert settings.shutdown_grace_seconds == 25.0
    assert settings.extra_ca_paths == ()
    assert settings.termination_message_path == ""


def test_given_values_win() -> None:
    settings = Settings({"WORKER_SHUTDOWN_GRACE": "1.5", "PROXY_CA_CERT_PATH": "/p", "GITHUB_CA_CERT_PATH": "/g"})
    assert settings.shutdown_grace_seconds == 1.5
    assert settings.extra_ca_paths == (("GITHUB_CA_CERT_PATH", "/g"), ("PROXY_CA_CERT_PATH", "/p"))


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "25s"])
def test_a_grace_that_is_no_time_names_its_variable(text: str) -> None:
    with pytest.raises(StartError, match="WORKER_SHUTDOWN_GRACE must be a number of seconds above 0"):
        Settings({"WORKER_SHUTDOWN_GRACE": text})


def test_steps_inherit_everything_but_the_wrappers_own() -> None:
    environ = {**dict.fromkeys(OWN_VARIABLES, "x"), "PATH": "/bin", "https_proxy": "http://p"}
    kept = {"PATH": "/bin", "https_proxy": "http://p"}
    assert scrubbed(environ) == kept | {"LD_PRELOAD": "x"}, "the image's own, which the launcher keeps in one of ours"
    assert scrubbed(kept) == kept


def test_a_locale_is_the_image_s_or_none() -> None:
    environ = {"PATH": "/bin", "LC_CTYPE": "C.UTF-8"}
    assert scrubbed(environ, b"PATH=/bin\0") == {"PATH": "/bin"}
    assert scrubbed(environ, b"PATH=/bin\0MY_LC_CTYPE=1\0") == {"PATH": "/bin"}
    assert scrubbed(environ, b"LC_CTYPE=C.UTF-8\0PATH=/bin\0") == environ
    assert scrubbed(environ) == environ
