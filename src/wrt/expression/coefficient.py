"""Exact numbers: a fraction times rational powers of sizes and of named constants.

>>> half, n = Coefficient.of(Fraction(1, 2)), Coefficient.of(Dimension.of("n"))
>>> str(half * n ** -1), (n ** Fraction(1, 2)) ** 2 == n
('1/2*n^-1', True)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property

from wrt.errors import TooLarge
from wrt.expression.dataclass import dataclass
from wrt.expression.dimensions import Dimension

__all__ = ["IMAGINARY", "MINUS_ONE", "ONE", "PI", "ZERO", "Coefficient"]

#: "pi", "i", the size of a dimension, or a positive fraction under a fractional power.
Base = str | Dimension | Fraction
Number = int | float | complex

#: Exact arithmetic stays exact up to here; a longer number is an accident or an attack.
MOST_DIGITS = 4000


@dataclass(frozen=True, eq=True)
class Coefficient:
    """`value · Π base^power`; immutable, compared by value."""

    value: int | Fraction  # an int where it is whole
    powers: tuple[tuple[Base, Fraction], ...] = ()

    @staticmethod
    def of(value: int | float | Fraction | Dimension | str | Coefficient) -> Coefficient:
        """The coefficient that a number, the size of a dimension, "pi" or "i" is."""
        if isinstance(value, Coefficient):
            return value
        if isinstance(value, float):
            return Coefficient(_whole(Fraction(float.__repr__(value))))
        if isinstance(value, (int, Fraction)):
            return Coefficient(_whole(value))
        if isinstance(value, str):
            return _raw(value)
        return _of_size(value)

    def __mul__(self, other: Coefficient) -> Coefficient:
        if other is ONE:
            return self
        if self is ONE:
            return other
        if not other.powers and not self.powers:
            return Coefficient(_bounded(_whole(self.value * other.value)))
        return _normal(self.value * other.value, (*self.powers, *other.powers))

    def __pow__(self, exponent: Fraction | int) -> Coefficient:
        if exponent == 1 or self is ONE:
            return self
        exponent = Fraction(exponent)
        scaled = tuple((base, power * exponent) for base, power in self.powers)
        if exponent.denominator == 1:
            digits = (len(str(self.value)) + 1) * abs(exponent.numerator)
            if digits > MOST_DIGITS:
                raise TooLarge(f"a number of about {digits} digits is refused")
            return _normal(Fraction(self.value) ** int(exponent), scaled)
        return _normal(Fraction(1), ((Fraction(self.value), exponent), *scaled))

    def __neg__(self) -> Coefficient:
        return Coefficient(-self.value, self.powers)

    @property
    def is_one(self) -> bool:
        """Whether this is the number 1."""
        return self is ONE or (not self.powers and self.value == 1)

    @property
    def is_number(self) -> bool:
        """Whether this is a plain fraction."""
        return not self.powers

    def has_real_root(self) -> bool:
        """Whether every factor is positive, so that fractional powers distribute."""
        return self.value > 0 and all(base != "i" for base, _ in self.powers)

    @property
    def is_imaginary(self) -> bool:
        """Whether the imaginary unit is a factor."""
        return bool(self.powers) and any(base == "i" for base, _ in self.powers)

    @property
    def conjugate(self) -> Coefficient:
        """The complex conjugate."""
        return -self if self.is_imaginary else self

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The dimensions whose sizes occur."""
        return tuple(base for base, _ in self.powers if isinstance(base, Dimension))

    def number(self, sizes: Mapping[str, int]) -> Number:
        """The float or complex number at given sizes."""
        product: Number = _float(self.value)
        for base, power in self.powers:
            product = product * _base_value(base, sizes) ** _exponent(power)
        return product

    def replace(self, mapping: Mapping[str, Dimension]) -> Coefficient:
        """The same number with other sizes for the names."""
        if not self.powers:
            return self
        result = Coefficient(self.value)
        for base, power in self.powers:
            other = base.replace(mapping) if isinstance(base, Dimension) else base
            one = _of_size(other) if isinstance(other, Dimension) else _raw(other)
            result = result * one**power
        return result

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        parts = [f"{b}" if p == 1 else f"{b}^{p}" for b, p in self.powers]
        if self.value == 1 and parts:
            return "*".join(parts)
        return "*".join([str(self.value), *parts])


def _raw(base: Base) -> Coefficient:
    return Coefficient(1, ((base, Fraction(1)),))


def _of_size(size: Dimension) -> Coefficient:
    """The size of a dimension: monomials come apart, sums of several terms stay whole."""
    if len(size.terms) > 1:
        return _raw(size)
    value, powers = size.terms[0][1] if size.terms else 0, []
    for mono, _ in size.terms:
        powers = [(Dimension.of(atom), Fraction(power)) for atom, power in mono]
    return _normal(value, powers)


def _normal(value: int | Fraction, powers: Iterable[tuple[Base, Fraction]]) -> Coefficient:
    if value == 0:
        return ZERO
    sums: dict[Base, Fraction] = {}
    for base, power in powers:
        sums[base] = sums.get(base, Fraction(0)) + power
    kept: list[tuple[Base, Fraction]] = []
    for base, power in sums.items():
        if base == "i":
            value, power = _imaginary(value, power)
        elif isinstance(base, Fraction):
            value, base, power = _rooted(value, base, power)
        if power:
            kept.append((base, power))
    kept.sort(key=lambda item: (isinstance(item[0], Dimension), str(item[0])))
    return Coefficient(_bounded(_whole(value)), tuple(kept))


def _imaginary(value: int | Fraction, power: Fraction) -> tuple[int | Fraction, Fraction]:
    """i^k for whole k: 1, i, -1, -i."""
    if power.denominator != 1:
        return value, power
    turns = int(power) % 4
    return (-value if turns >= 2 else value), Fraction(turns % 2)


def _rooted(
    value: int | Fraction, base: Fraction, power: Fraction
) -> tuple[int | Fraction, Base, Fraction]:
    """Whole powers of a fraction leave it; so does an exact root."""
    whole = math.floor(power)
    value, power = value * base**whole, power - whole
    if power and base > 0:
        root = _exact_root(base, power.denominator)
        if root is not None:
            return value * root**power.numerator, base, Fraction(0)
    return value, base, power


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    if max(base.numerator, base.denominator) > 10**15 or degree > 12:
        return None
    top = round(base.numerator ** (1 / degree))
    bottom = round(base.denominator ** (1 / degree))
    root = Fraction(top, max(bottom, 1))
    return root if root**degree == base else None


def _whole(value: int | Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def _bounded(value: int | Fraction) -> int | Fraction:
    if isinstance(value, int) and -(2**64) < value < 2**64:
        return value
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    if bits > 1020:  # a float holds no more
        raise TooLarge(f"a number of about {bits * 3 // 10} digits is refused")
    return value


def _float(value: int | Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _exponent(power: Fraction) -> int | float:
    return int(power) if power.denominator == 1 else float(power)


def _base_value(base: Base, sizes: Mapping[str, int]) -> Number:
    if isinstance(base, Dimension):
        return float(base.size(sizes))
    if isinstance(base, Fraction):
        return _float(base) if base > 0 else complex(_float(base))
    return math.pi if base == "pi" else 1j


ONE = Coefficient(1)
ZERO = Coefficient(0)
MINUS_ONE = Coefficient(-1)
PI = Coefficient.of("pi")
IMAGINARY = Coefficient.of("i")
