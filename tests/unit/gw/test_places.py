"""A URL that an option names is taken, or refused with an example that fits the option."""

import pytest

from gw.errors import Refused
from gw.sources.places import parse_url

EXAMPLES = {
    "--prometheus-url": "http://localhost:9090",
    "--alertmanager-url": "http://localhost:9093",
    "--runbook-url": "https://docs.example.com/actions-gateway",
    "--grafana-url": "https://grafana.example.com",
}
LINKS = ("--runbook-url", "--grafana-url")


@pytest.mark.parametrize(("option", "example"), EXAMPLES.items())
def test_the_example_fits_its_option_and_is_taken(option: str, example: str) -> None:
    for text in ("pages", "javascript:alert(1)", "http://[::1", "https://x/?a=b"):
        with pytest.raises(Refused) as refused:
            parse_url(text, option)
        assert refused.value.what.startswith(f"{option}: ")
        assert refused.value.next_step == f"Write {option} {example}, for example."
    assert parse_url(f"{example}/", option) == example


@pytest.mark.parametrize("option", EXAMPLES)
def test_a_password_is_answered_by_what_the_url_is_for(option: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_url("https://u:hunter2@h/x", option)
    told = f"{refused.value.what} {refused.value.next_step}"
    assert "the URL holds a password" in told
    assert "hunter2" not in told
    assert ("kubectl port-forward" in told) is (option not in LINKS)
    assert (EXAMPLES[option] in told) is (option in LINKS)


@pytest.mark.parametrize("option", EXAMPLES)
@pytest.mark.parametrize(
    "text", ["https://h/?token=hunter2", "https://h/#hunter2", "u:hunter2@h", "ftp://h/hunter2", "https://[hunter2"]
)
def test_no_refusal_repeats_what_may_be_secret(text: str, option: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_url(text, option)
    assert "hunter2" not in f"{refused.value.what} {refused.value.next_step}"


@pytest.mark.parametrize("text", ["https://h/?", "https://h/#", "https://h?a=b"])
def test_a_query_or_fragment_is_refused_even_when_it_is_empty(text: str) -> None:
    with pytest.raises(Refused, match="has no query and no fragment"):
        parse_url(text, "--grafana-url")


@pytest.mark.parametrize(
    "text", ["https://h:0", "https://h:65536", "https://exa mple/x", "https://h{{x/", "https:///x"]
)
def test_what_no_host_and_port_can_be_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no base URL"):
        parse_url(text, "--runbook-url")


@pytest.mark.parametrize(
    "text", ["http://[::1]:65535/a", "https://h:1", "https://h_1.example.com", "http://10.0.0.1/x"]
)
def test_hosts_of_every_form_are_taken(text: str) -> None:
    assert parse_url(text, "--runbook-url") == text
