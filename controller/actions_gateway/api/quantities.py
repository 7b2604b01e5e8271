"""Kubernetes quantities (`500m`, `2Gi`, `10`) as exact numbers, so that quota arithmetic never rounds."""

import re
from fractions import Fraction

_QUANTITY = re.compile(r"^([+-]?[0-9]*\.?[0-9]+)(?:[eE]([+-]?[0-9]+)|([numkKMGTPE]i?))?$")
_LONGEST = 64
_LARGEST_EXPONENT = 30
"""Beyond what 64 bits hold; a number of a billion digits would keep its reader busy for good."""
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse_quantity(value: str | int | float) -> Fraction:
    """The number of base units; raises ValueError for what the API server would refuse."""
    text = str(value).strip()
    match = _QUANTITY.match(text)
    if match is None or len(text) > _LONGEST:
        raise ValueError(f"{value!r:.80} is no Kubernetes quantity; write it like 500m, 2Gi or 10")
    number, exponent, suffix = match.groups()
    result = Fraction(number)
    if exponent:
        if abs(int(exponent)) > _LARGEST_EXPONENT:
            raise ValueError(f"{value!r:.80} is no Kubernetes quantity: its exponent is out of range")
        result *= Fraction(10) ** int(exponent)
    elif suffix in _BINARY:
        result *= 2 ** _BINARY[suffix]
    elif suffix:
        if suffix not in _DECIMAL:
            raise ValueError(f"{value!r:.80} has no known unit; use m, k, M, G, T or Ki, Mi, Gi, Ti")
        result *= Fraction(10) ** _DECIMAL[suffix]
    return result


def format_quantity(amount: Fraction, *, is_size: bool = False) -> str:
    """A count or CPU amount in units or thousandths, a size (memory, storage) in the largest whole binary unit."""
    if amount.denominator != 1:
        milli = amount * 1000
        return f"{int(milli)}m" if milli.denominator == 1 else f"{int(amount * 10**9)}n"
    whole = int(amount)
    for suffix, power in reversed(_BINARY.items()):
        if is_size and whole and whole % (2**power) == 0:
            return f"{whole >> power}{suffix}"
    return str(whole)
