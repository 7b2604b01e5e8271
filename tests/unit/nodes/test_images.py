"""Images are found by exact reference or by repository."""

import pytest

from gateway_sandbox.nodes.images import Image, ImageTable, repository_of


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("runner", "runner"),
        ("runner:2.330.0", "runner"),
        ("ghcr.example/org/runner:1", "ghcr.example/org/runner"),
        ("localhost:5000/runner", "localhost:5000/runner"),
        ("localhost:5000/runner:1@sha256:ab", "localhost:5000/runner"),
    ],
)
def test_a_repository_is_the_reference_without_tag_and_digest(reference: str, repository: str) -> None:
    assert repository_of(reference) == repository


def test_an_exact_entry_is_preferred_to_the_repository() -> None:
    exact, any_tag = Image(command=("exact",)), Image(command=("any",))
    table = ImageTable({"app:1": exact, "app": any_tag})
    assert table.find("app:1") is exact
    assert table.find("app:2") is any_tag
    assert table.find("other:1") is None
