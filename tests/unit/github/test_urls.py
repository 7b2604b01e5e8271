"""Which API and which runner collection belong to a configured GitHub URL."""

import pytest

from actions_gateway.github.urls import is_repository, join, scope_of, secure_url


@pytest.mark.parametrize(
    ("url", "api_base"),
    [
        ("https://github.com/acme", "https://api.github.com"),
        ("https://www.github.com/acme", "https://api.github.com"),
        ("https://api.github.com/acme", "https://api.github.com"),
        ("https://GitHub.com:443/acme", "https://api.github.com"),
        ("https://acme.ghe.com/acme", "https://api.acme.ghe.com"),
        ("https://github.localhost:8443/acme", "https://api.github.localhost:8443"),
        ("https://a.ghe.localhost/acme", "https://api.a.ghe.localhost"),
        ("https://github.acme.com/acme", "https://github.acme.com/api/v3"),
        ("https://github.com.evil.example/acme", "https://github.com.evil.example/api/v3"),
        ("https://notgithub.com/acme", "https://notgithub.com/api/v3"),
        ("https://ghe.com/acme", "https://ghe.com/api/v3"),
        ("https://localhost:8443/acme", "https://localhost:8443/api/v3"),
        ("https://[::1]:8443/acme", "https://[::1]:8443/api/v3"),
    ],
)
def test_the_api_follows_from_the_whole_host(url: str, api_base: str) -> None:
    assert scope_of(url).api_base == api_base


@pytest.mark.parametrize(
    ("url", "path", "owner", "repository"),
    [
        ("https://github.com/acme", "/orgs/acme/actions/runners", "acme", None),
        ("https://github.com/acme/", "/orgs/acme/actions/runners", "acme", None),
        ("https://github.com/acme/shop", "/repos/acme/shop/actions/runners", "acme", "acme/shop"),
        ("https://github.com/acme/shop.git", "/repos/acme/shop/actions/runners", "acme", "acme/shop"),
        ("https://github.com/enterprises/big", "/enterprises/big/actions/runners", "big", None),
    ],
)
def test_the_runners_belong_to_what_the_url_names(url: str, path: str, owner: str, repository: str | None) -> None:
    scope = scope_of(url)
    assert (scope.runners_path, scope.owner, scope.repository) == (path, owner, repository)
    assert scope.host == "github.com"


@pytest.mark.parametrize(
    "url",
    [
        "http://github.com/acme",
        "https://github.com",
        "https://github.com/a/b/c",
        "https://github.com/orgs/acme",
        "https://github.com/acme/..",
        "https://github.com/ac%2Fme",
        "https://user:pw@github.com/acme",
        "https://github.com/acme?x=1",
        "https://github.com/acme#x",
        "https://github.com:99999/acme",
        "https:///acme",
        "https://git hub.com/acme",
        "https://[::1/acme",
        "github.com/acme",
        "",
    ],
)
def test_unusable_urls_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="the GitHub URL"):
        scope_of(url)


def test_joining_does_not_depend_on_slashes() -> None:
    assert join("https://run.test/38", "renewjob") == join("https://run.test/38/", "/renewjob")
    assert join("https://run.test/38/", "renewjob") == "https://run.test/38/renewjob"


def test_a_url_that_would_carry_a_token_in_the_clear_is_refused() -> None:
    assert secure_url("https://run.test/38/", "it") == "https://run.test/38/"
    with pytest.raises(ValueError, match="the run service URL must start with https"):
        secure_url("http://run.test/38/", "the run service URL")


@pytest.mark.parametrize(
    ("name", "valid"),
    [("acme/shop", True), ("a/b.c-d_e", True), ("acme", False), ("../x", False), ("a/..", False), ("a/b/c", False)],
)
def test_a_repository_is_an_owner_and_a_name(name: str, valid: bool) -> None:
    assert is_repository(name) is valid
