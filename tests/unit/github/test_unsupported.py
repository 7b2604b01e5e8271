"""Which jobs ask for containers, in every encoding of the runner's template tokens."""

from typing import Any

import pytest

from actions_gateway.github.decoding import Fields
from actions_gateway.github.unsupported import unsupported_of

MATRIX = {"t": 2, "d": [{"k": "image", "v": "alpine"}, {"k": "none", "v": ""}, {"k": "null", "v": None}]}
IMAGES = {"t": 2, "d": [{"k": "box", "v": {"t": 2, "d": [{"k": "image", "v": "alpine"}]}}]}
CONTEXTS = {"matrix": MATRIX, "inputs": IMAGES}


def mapping(**pairs: Any) -> dict[str, Any]:
    return {"type": 2, "map": [{"Key": key, "Value": value} for key, value in pairs.items()]}


def expression(text: str) -> dict[str, Any]:
    return {"type": 3, "file": 1, "line": 4, "expr": text}


def asked(container: Any = None, services: Any = None) -> tuple[bool, bool]:
    """Whether the text speaks of `container:` and of `services:`."""
    payload = {"jobContainer": container, "jobServiceContainers": services, "contextData": CONTEXTS}
    text = unsupported_of(Fields(payload))
    assert bool(text) == ("`container:`" in text or "`services:`" in text)
    return "`container:`" in text, "`services:`" in text


@pytest.mark.parametrize(
    "container",
    [
        "alpine",
        {"type": 0, "file": 1, "line": 3, "col": 16, "lit": "alpine"},
        {"lit": "alpine"},
        {"image": "alpine"},
        mapping(image="alpine", options="--cpus 1"),
        {"type": 2, "map": [{"Key": {"type": 0, "lit": "image"}, "Value": {"type": 0, "lit": "alpine"}}]},
        mapping(image=expression("matrix.image")),
        expression("matrix.image"),
        expression(" matrix['image'] "),
        expression("inputs.box"),
        expression("format('ghcr.io/{0}', github.repository)"),
        expression("env.IMAGE"),
        {"type": 2, "map": [{"Key": {"type": 4, "directive": "insert"}, "Value": expression("inputs.box")}]},
        {"type": 99},
        {"type": "0", "lit": "alpine"},
    ],
)
def test_a_container_is_found(container: Any) -> None:
    assert asked(container=container) == (True, False)


@pytest.mark.parametrize(
    "container",
    [
        None,
        "",
        {"type": 7},
        {"type": 7, "file": 1, "line": 2, "col": 3},
        {"type": 0, "lit": ""},
        {},
        {"type": 2},
        mapping(image=""),
        mapping(image={"type": 7}),
        mapping(image=expression("matrix.none")),
        expression("matrix.none"),
        expression("matrix.null"),
        expression("matrix.absent"),
        expression("matrix.image.deeper"),
    ],
)
def test_an_image_that_turns_out_empty_is_none(container: Any) -> None:
    assert asked(container=container) == (False, False)
    assert asked(services=mapping(database=container)) == (False, False)


@pytest.mark.parametrize(
    "services",
    [
        mapping(database="postgres:16"),
        mapping(absent="", database=mapping(image="postgres:16")),
        {"database": {"image": "postgres:16"}},
        expression("fromJSON(inputs.services)"),
    ],
)
def test_services_are_found(services: Any) -> None:
    assert asked(services=services) == (False, True)


@pytest.mark.parametrize("services", [None, {"type": 7}, {}, {"type": 2}, [], expression("matrix.null")])
def test_no_services_are_none(services: Any) -> None:
    assert asked(services=services) == (False, False)


def test_both_are_told_at_once_and_names_match_without_case() -> None:
    text = unsupported_of(Fields({"JobContainer": "alpine", "JOBSERVICECONTAINERS": mapping(cache="redis")}))
    assert text.startswith("This job asks for `container:` and `services:`, which these runners do not support.")
    assert unsupported_of(Fields({})) == ""
