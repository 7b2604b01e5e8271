"""When repositories were last seen, as the ledger's ConfigMap holds it. Pure data."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

REWRITE = timedelta(days=1)
_KEEP = 2 * REWRITE
"""A moment is up to a day old when it is written anew: the last day's repositories are younger than this."""
_MOST = 500
"""At up to 180 bytes each."""
NEVER = datetime.min.replace(tzinfo=UTC)


def lately(now: datetime, *moments: Mapping[str, datetime]) -> dict[str, datetime]:
    """When each repository was last seen, as some of `moments` say: those of the last two days, the latest first."""
    seen: dict[str, datetime] = {}
    for some in moments:
        for repository, moment in some.items():
            seen[repository] = max(moment, seen.get(repository, NEVER))
    kept = [one for one in seen.items() if now - one[1] <= _KEEP]
    return dict(sorted(kept, key=lambda one: (one[1], one[0]), reverse=True)[:_MOST])


def render(seen: Mapping[str, datetime]) -> str:
    """The value of its key in the ConfigMap."""
    moments = {repository: moment.isoformat(timespec="seconds") for repository, moment in seen.items()}
    return json.dumps(moments, separators=(",", ":"))


def parse(text: str) -> dict[str, datetime]:
    """What `render` made; raises ValueError when the text is none of it."""
    try:
        moments = {str(repository): datetime.fromisoformat(moment) for repository, moment in json.loads(text).items()}
    except (TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"no repositories: {type(problem).__name__}") from problem
    if any(moment.tzinfo is None for moment in moments.values()):
        raise ValueError("a moment without its zone")
    return moments
