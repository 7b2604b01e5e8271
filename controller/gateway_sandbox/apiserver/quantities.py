"""Quantities in the canonical form that the API server stores: `0.5` becomes `500m`, `1024Mi` becomes `1Gi`.

Source: k8s.io/apimachinery pkg/api/resource, "Quantity": the suffix family of the input is kept, no precision is lost,
the exponent is as large as possible.
"""

from fractions import Fraction

from actions_gateway.api.quantities import parse_quantity

_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical_quantity(value: str | int | float) -> str:
    """The stored spelling; raises ValueError for what is no quantity."""
    return render_quantity(parse_quantity(value), binary=str(value).endswith("i"))


def render_quantity(amount: Fraction, *, binary: bool) -> str:
    """An exact amount in its suffix family; fractions always fall to the decimal one."""
    if binary and amount.denominator == 1:
        return _scaled(amount, _BINARY, 1024)
    return _scaled(amount * 10**9, _DECIMAL, 1000)


def _scaled(amount: Fraction, suffixes: tuple[str, ...], base: int) -> str:
    if amount == 0:
        return "0"
    number, index = amount.numerator // amount.denominator, 0
    while number % base == 0 and index < len(suffixes) - 1:
        number, index = number // base, index + 1
    return f"{number}{suffixes[index]}"
