"""A bootstrap as text: YAML that is JSON but for its longest repetitions.

Type names and the like stand in it dozens of times, and every object of a tenant's Deployment carries the text: the
Deployment, its ReplicaSets and their pods. So what is long and repeated is written once, with an anchor, and referred
to (YAML 1.2, sections 6.9.2 and 7.1).
"""

import json
import re
from collections import Counter
from typing import Any

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"(:?)')
"""A string, with the colon that makes it a key."""
_LEAST_LENGTH = 20


def render(bootstrap: dict[str, Any]) -> str:
    """The text for Envoy's `--config-yaml`, the same for the same bootstrap."""
    text = json.dumps(bootstrap, sort_keys=True, separators=(",", ":"))
    counts = Counter(found[0] for found in _STRING.finditer(text))
    anchors: dict[str, str] = {}

    def shorten(found: re.Match[str]) -> str:
        value = found[0]
        if found[1] or counts[value] == 1 or len(value) < _LEAST_LENGTH:
            return value
        if value in anchors:
            return f"*{anchors[value]}"
        anchors[value] = f"r{len(anchors)}"
        return f"&{anchors[value]} {value}"

    return _STRING.sub(shorten, text)
