"""Exponential back-off with jitter and a cap, as plain arithmetic over an injected source of randomness."""

import random
from dataclasses import dataclass

_ASKED_CAP_SECONDS = 300.0
"""A server that asks for more is taken at five minutes' word: an absurd wish must not stop the work for a day."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `base_seconds` to `cap_seconds`, each drawn from the upper half of its step.

    The lower half is left out so that a jittered delay still grows; full jitter would let the tenth try follow at once.
    """

    base_seconds: float = 1.0
    cap_seconds: float = 300.0

    def delay_seconds(self, failures: int, rng: random.Random, *, asked_seconds: float | None = None) -> float:
        """The delay after `failures` failures in a row (1 for the first).

        `asked_seconds` is what the other side asked for (Retry-After): it wins when it is longer, up to 5 min.
        """
        step = min(self.cap_seconds, self.base_seconds * 2.0 ** min(max(failures, 1) - 1, 62))
        return max(rng.uniform(step / 2, step), min(asked_seconds or 0.0, _ASKED_CAP_SECONDS))
