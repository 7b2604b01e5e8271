"""The boards' JSON by Grafana's own models of it (its foundation SDK): nothing unknown, nothing of another type.

The SDK drops what it does not know and checks no types, so both are compared here. It has no model of an alert list's
options.
"""

import copy
import enum
import importlib
import json
import types
import typing
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from gw_dashboards.catalog import BOARDS, short_name
from gw_dashboards.grafana import SCHEMA_VERSION, Json, build_board
from gw_dashboards.model import Kind

with warnings.catch_warnings():
    # The SDK prefers the model that Grafana 13 brings; provisioning of 12 reads this one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import dashboard as grafana

register_default_plugins()

MODELS = {short_name(board): build_board(board) for board in BOARDS}
LAST_SCHEMA_OF_THIS_MODEL = grafana.Dashboard().schema_version


def problems(document: Json, model: Any = grafana.Dashboard, place: str = "board") -> list[str]:
    """What Grafana's model does not know, or knows otherwise."""
    try:
        read = model.from_json(copy.deepcopy(document))
    except (KeyError, TypeError, ValueError) as problem:
        return [f"{place} cannot be read: {problem!r}"]
    written = json.loads(json.dumps(read, cls=JSONEncoder))
    return [*_lost(document, written, place), *_mistyped(read, place)]


def _lost(ours: Any, theirs: Any, place: str) -> Iterator[str]:
    """What does not come back from their model."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from _lost(value, theirs[key], f"{place}.{key}")
            elif value is not None:
                yield f"{place}.{key} is unknown"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _lost(mine, other, f"{place}[{index}]")
    elif ours != theirs:
        yield f"{place} is {ours!r}, and comes back as {theirs!r}"


def _mistyped(value: Any, place: str) -> Iterator[str]:
    """Attributes of their objects that are not what their annotations say."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _mistyped(each, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _mistyped(each, f"{place}.{key}")
    elif type(value).__module__.startswith("grafana_foundation_sdk") and not isinstance(value, enum.Enum):
        names = vars(importlib.import_module(type(value).__module__))
        for name, hint in typing.get_type_hints(type(value), globalns=names).items():
            content = getattr(value, name, None)
            if not _fits(content, hint):
                yield f"{place}.{name} is {content!r}, not {hint}"
            yield from _mistyped(content, f"{place}.{name}")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (object, typing.Any) or isinstance(hint, typing.TypeVar):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(each, arguments[1]) for each in value.values())
    if isinstance(value, dict) and hasattr(hint, "from_json"):
        # Some lists of objects it leaves as they came.
        return problems(value, hint) == []
    if isinstance(hint, enum.EnumMeta):
        return value in [each.value for each in hint]
    if hint in (float, int) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if hint is float else hint)


@pytest.mark.parametrize("name", MODELS)
def test_grafanas_models_know_every_key_and_type(name: str) -> None:
    assert problems(MODELS[name]) == []


def test_the_schema_is_the_last_of_this_model() -> None:
    assert SCHEMA_VERSION == LAST_SCHEMA_OF_THIS_MODEL


def _panel(model: Json, kind: Kind) -> Json:
    return next(panel for panel in model["panels"] if panel["type"] == kind.value)


def test_what_grafana_does_not_know_is_found() -> None:
    for kind, part, key, value in (
        (Kind.TIME_SERIES, ("options", "legend"), "isTable", True),
        (Kind.TIME_SERIES, ("fieldConfig", "defaults", "custom"), "lineColour", "red"),
        (Kind.STAT, ("options", "reduceOptions"), "calculations", ["last"]),
        (Kind.BAR_GAUGE, (), "fieldOptions", {}),
        (Kind.TABLE, ("fieldConfig", "defaults", "custom"), "displayMode", "colour"),
        (Kind.STATE_TIMELINE, ("options",), "rowHeight", "high"),
        (Kind.STAT, (), "id", "one"),
        (Kind.STAT, ("fieldConfig", "defaults"), "noValue", 0),
        (Kind.STAT, ("gridPos",), "w", "wide"),
        (Kind.TIME_SERIES, ("options", "tooltip"), "mode", "every"),
    ):
        model = copy.deepcopy(MODELS["fleet" if kind is not Kind.STATE_TIMELINE else "oncall"])
        place = _panel(model, kind)
        for step in part:
            place = place[step]
        place[key] = value
        assert problems(model), (kind, part, key)
