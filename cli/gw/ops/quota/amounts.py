"""The amounts that a person asks for: `pods=50`, `requests.memory=+64Gi`, `requests.cpu=+50%`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from actions_gateway.api.quantities import parse_quantity
from gw.errors import Refused
from gw.sources.quotas import Unit, unit_of, written

_MEBI = 2**20
_WISH = re.compile(r"(?P<key>[A-Za-z0-9][-A-Za-z0-9._/]*)=(?P<sign>[+-]?)(?P<amount>[^+-]\S*)")
_PERCENT = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)%")
_FORMS = {
    Unit.WHOLE: (re.compile(r"[0-9]+"), "it counts whole things", "50"),
    Unit.CORES: (re.compile(r"[0-9]*\.?[0-9]+m?"), "it is in cores or thousandths of them", "16 or {key}=1500m"),
    Unit.BYTES: (
        re.compile(r"0|[0-9]*\.?[0-9]+(?:[kMGTPE]|[KMGTPE]i)"),
        "it is in bytes and wants their unit, such as Mi or Gi",
        "64Gi",
    ),
}
_STEP = {Unit.WHOLE: Fraction(1), Unit.CORES: Fraction(1, 1000), Unit.BYTES: Fraction(_MEBI)}
"""To what a percentage is rounded up: an amount that people can read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of one key."""

    key: str
    sign: str
    """`+` or `-` for a change of what there is; empty for the amount itself."""
    amount: Fraction
    """Base units, or hundredths of what there is."""
    is_percent: bool
    text: str
    """The amount as it was written, without its sign."""

    def on(self, now: str) -> str:
        """The new amount in place of `now`; raises Refused when that is less than nothing."""
        if not self.sign:
            return self.text
        before = parse_quantity(now)
        change = before * self.amount / 100 if self.is_percent else self.amount
        after = before + change if self.sign == "+" else before - change
        if after < 0:
            raise Refused(
                f"{self.key}={self.sign}{self.text} would leave less than nothing of {now}",
                f"Take off at most {now}.",
            )
        return written(self.key, _rounded_up(self.key, after) if self.is_percent else after)


def parse_wishes(texts: Sequence[str]) -> tuple[Wish, ...]:
    """What was asked for, by key; raises Refused that names the word which is wrong."""
    if not texts:
        raise Refused("no amount was named", "Write KEY=AMOUNT, such as pods=50 or requests.cpu=+25%.")
    wishes = [_parse(text) for text in texts]
    keys = [wish.key for wish in wishes]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise Refused(f"{twice} was named twice", "Name each key once.")
    return tuple(wishes)


def _rounded_up(key: str, amount: Fraction) -> Fraction:
    step = _STEP[unit_of(key)]
    if unit_of(key) is Unit.BYTES and amount < step:
        step = Fraction(1)
    return math.ceil(amount / step) * step


def _parse(text: str) -> Wish:
    match = _WISH.fullmatch(text)
    if match is None:
        raise Refused(
            f"{text!r:.80} is not KEY=AMOUNT", "Write it like pods=50, requests.cpu=+25% or limits.memory=-8Gi."
        )
    key, sign, amount = match["key"], match["sign"], match["amount"]
    if percent := _PERCENT.fullmatch(amount):
        if not sign:
            raise Refused(
                f"{text}: a percentage is a change of what there is", f"Write {key}=+{amount} or {key}=-{amount}."
            )
        return Wish(key, sign, Fraction(percent["number"]), True, amount)
    form, words, example = _FORMS[unit_of(key)]
    if not form.fullmatch(amount):
        raise Refused(f"{text:.80}: {amount!r:.40} is no amount of {key}; {words}", _example(key, example))
    try:
        return Wish(key, sign, parse_quantity(amount), False, amount)
    except ValueError as problem:
        raise Refused(f"{text:.80}: {problem}", _example(key, example)) from problem


def _example(key: str, example: str) -> str:
    return f"Write {key}={example.format(key=key)}, for example."
