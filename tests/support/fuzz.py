"""Documents that went wrong: any JSON, and good documents with parts replaced, removed, added or nested too deep."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([10**30, -1, 0, "", "0", "-1", "²", "9" * 5000, "\x00", "\ud800", "a" * 3000, "1e999", "null"])
)

JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""Any value that JSON has, the ones among them that people and machines trip over."""


def nested(depth: int) -> bytes:
    """The JSON of a context value and template token that holds another one, `depth` times."""
    opening = b'{"t": 2, "type": 2, "d": [{"k": "image", "v": '
    closing = b'}], "map": [{"Key": "image", "Value": 1}]}'
    return opening * depth + b"null" + closing * depth


@st.composite
def mutated(
    draw: st.DrawFn, document: Any, *, replacements: Callable[[Any], st.SearchStrategy[Any]] = lambda _: JSON
) -> Any:
    """The document with one to four places changed; `replacements` says by what, given what is there."""
    changed = deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            break
        parent, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                parent[key] = draw(replacements(parent[key]))
            case "remove":
                del parent[key]
            case _ if isinstance(parent, list):
                parent.insert(key, draw(replacements(parent[key])))
            case _:
                parent[draw(st.text(max_size=8))] = draw(replacements(parent[key]))
    return changed


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of the document with its parent."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(value, key), *_places(value[key])]]
