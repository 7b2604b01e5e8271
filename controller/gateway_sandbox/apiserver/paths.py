"""Places inside objects, by JSONPath: printer columns, selectors, fixed fields, a node's addresses.

Source: Kubernetes documentation, "JSONPath Support" and "Additional printer columns".
"""

import re
from collections.abc import Iterator
from typing import Any

_STEP = re.compile(
    r"\.?(?P<field>[\w-]+(?:\\\.[\w-]+)*)"
    r"|\[(?:'(?P<quoted>[^']+)'|(?P<index>-?\d+)|(?P<all>\*)"
    r"|\?\(@\.(?P<key>[\w.-]+)\s*==\s*['\"](?P<value>[^'\"]*)['\"]\))\]"
)


def read_path(obj: Any, path: str) -> Any:
    """The first value at a path of fields, indexes, `[*]` and `[?(@.key=="value")]` filters; None when absent.

    The dot in front may be left out: `spec.replicas` is `.spec.replicas`.
    """
    found = [obj]
    for step in _STEP.finditer(path):
        found = [child for value in found for child in _children(value, step)]
    return found[0] if found else None


def _children(value: Any, step: re.Match[str]) -> Iterator[Any]:
    name = step["quoted"] or (step["field"] or "").replace("\\.", ".")
    if isinstance(value, dict) and name in value:
        yield value[name]
    elif isinstance(value, list) and step["all"]:
        yield from value
    elif isinstance(value, list) and step["index"]:
        yield from value[int(step["index"]) :][:1]
    elif isinstance(value, list) and step["key"]:
        yield from (one for one in value if str(read_path(one, step["key"])) == step["value"])
