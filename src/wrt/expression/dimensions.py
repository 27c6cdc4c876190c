"""Dimensions: polynomials in names with whole coefficients, and the smaller of two.

>>> n, m = Dimension.of("n"), Dimension.of("m")
>>> str(n * m + 2), (n + m) is (m + n), (n * m).size({"n": 3, "m": 4})
('m*n + 2', True, 12)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from threading import Lock
from typing import ClassVar, Union
from weakref import WeakValueDictionary

from wrt.errors import ShapeMistake, ValueMistake

__all__ = ["Dimension", "Smaller", "parse_dimensions", "show_dimensions", "smaller", "spaced_out"]

Atom = Union[str, "Smaller"]
Monomial = tuple[tuple[Atom, int], ...]
Terms = tuple[tuple[Monomial, int], ...]

#: A dimension is spelled by a person or made by kron and blocks; beyond this it is an accident.
MOST_TERMS = 200


class Dimension:
    """An immutable, interned polynomial in the names of sizes: equal means identical."""

    __slots__ = ("__dict__", "__weakref__", "terms")
    terms: Terms
    _table: ClassVar[WeakValueDictionary[Terms, Dimension]] = WeakValueDictionary()
    _lock = Lock()

    def __new__(cls, terms: Terms) -> Dimension:
        with cls._lock:
            known = cls._table.get(terms)
            if known is None:
                if len(terms) > MOST_TERMS:
                    raise ShapeMistake(f"a dimension of {len(terms)} terms is refused")
                known = object.__new__(cls)
                object.__setattr__(known, "terms", terms)
                cls._table[terms] = known
            return known

    @staticmethod
    def of(value: Dimension | Atom | int) -> Dimension:
        """The dimension that a name, a whole number or a dimension says."""
        if isinstance(value, Dimension):
            return value
        if isinstance(value, int):
            return Dimension((((), value),) if value else ())
        return Dimension(((((value, 1),), 1),))

    @staticmethod
    def parse(text: str) -> Dimension:
        """Read `n`, `3`, `n*m + 1` or `min(m,n)`."""
        return _parse(text)

    def __add__(self, other: Dimension | int) -> Dimension:
        return _added(self, Dimension.of(other), 1)

    __radd__ = __add__

    def __sub__(self, other: Dimension | int) -> Dimension:
        return _added(self, Dimension.of(other), -1)

    def __mul__(self, other: Dimension | int) -> Dimension:
        pairs = Dimension.of(other).terms
        return _collect([(_times(a, b), p * q) for a, p in self.terms for b, q in pairs])

    __rmul__ = __mul__

    def over(self, other: Dimension) -> Dimension | None:
        """The quotient by a dimension of one term, where it is a dimension.

        >>> n, m = Dimension.of("n"), Dimension.of("m")
        >>> (6 * n * m).over(2 * m), n.over(m)
        (Dimension('3*n'), None)
        """
        if len(other.terms) != 1:
            return None
        ((below, divisor),) = other.terms
        found = []
        for above, factor in self.terms:
            powers = dict(above)
            for atom, power in below:
                powers[atom] = powers.get(atom, 0) - power
            if factor % divisor or min(powers.values(), default=0) < 0:
                return None
            mono = tuple((atom, power) for atom, power in powers.items() if power)
            found.append((mono, factor // divisor))
        return _collect(found)

    @cached_property
    def value(self) -> int | None:
        """The whole number that this is, or None while it has names."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that occurs."""
        return frozenset().union(*(_atom_names(a) for mono, _ in self.terms for a, _ in mono))

    def size(self, sizes: Mapping[str, int]) -> int:
        """The whole number at given sizes; ValueMistake where a name has none."""
        return sum(c * _value(mono, sizes) for mono, c in self.terms)

    def replace(self, mapping: Mapping[str, Dimension]) -> Dimension:
        """The same polynomial in other dimensions."""
        total = Dimension.of(0)
        for mono, c in self.terms:
            term = Dimension.of(c)
            for atom, power in mono:
                for _ in range(power):
                    term = term * _replaced(atom, mapping)
            total = total + term
        return total

    @cached_property
    def _text(self) -> str:
        out = ""
        for mono, c in self.terms:
            body = "*".join(str(a) if p == 1 else f"{a}^{p}" for a, p in mono)
            body = body if body and abs(c) == 1 else f"{abs(c)}*{body}".rstrip("*")
            sign = ("-" if c < 0 else "") if not out else (" - " if c < 0 else " + ")
            out += sign + body
        return out or "0"

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Dimension({self._text!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (Dimension, (self.terms,))

    def __copy__(self) -> Dimension:
        return self

    def __deepcopy__(self, memo: object) -> Dimension:
        return self


class Smaller(tuple[Dimension, Dimension]):
    """The smaller of two dimensions, an atom of polynomials."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"min({self[0]},{self[1]})"


def smaller(a: Dimension, b: Dimension) -> Dimension:
    """The smaller of two dimensions."""
    if a is b:
        return a
    if a.value is not None and b.value is not None:
        return a if a.value < b.value else b
    first, second = sorted((a, b), key=str)
    return Dimension.of(Smaller((first, second)))


def parse_dimensions(text: str) -> tuple[Dimension, ...]:
    """The dimensions of a declaration without its properties, as in `n m` or `2 4`."""
    return tuple(map(_parse, spaced_out(text)))


def spaced_out(text: str) -> list[str]:
    """The words of a declaration, between spaces or commas; `min(m,n)` is one.

    >>> spaced_out("m min(m,n) spd")
    ['m', 'min(m,n)', 'spd']
    """
    return _WORD.findall(text)


_WORD = re.compile(r"(?:\([^()]*\)|[^\s,])+")


def show_dimensions(dims: Iterable[Dimension]) -> str:
    """Dimensions for a person: `n × m`; `scalar` for none."""
    words = [str(d) if len(d.terms) < 2 else f"({d})" for d in dims]
    return " × ".join(words) or "scalar"


def _order(item: tuple[Monomial, int]) -> tuple[int, str]:
    """The highest degree first, then by the alphabet."""
    return (-sum(p for _, p in item[0]), str([(str(a), p) for a, p in item[0]]))


@lru_cache(maxsize=1024)
def _added(a: Dimension, b: Dimension, times: int) -> Dimension:
    return _collect([*a.terms, *((mono, times * c) for mono, c in b.terms)])


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Dimension:
    sums: dict[Monomial, int] = {}
    for mono, c in terms:
        sums[mono] = sums.get(mono, 0) + c
    return Dimension(tuple(sorted(((m, c) for m, c in sums.items() if c), key=_order)))


def _times(a: Monomial, b: Monomial) -> Monomial:
    powers: dict[Atom, int] = {}
    for atom, power in (*a, *b):
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _atom_names(atom: Atom) -> frozenset[str]:
    return frozenset({atom}) if isinstance(atom, str) else atom[0].names | atom[1].names


def _value(mono: Monomial, sizes: Mapping[str, int]) -> int:
    product = 1
    for atom, power in mono:
        if isinstance(atom, str):
            if atom not in sizes:
                raise ValueMistake(f"the size of the dimension {atom} is not known")
            product *= sizes[atom] ** power
        else:
            product *= min(atom[0].size(sizes), atom[1].size(sizes)) ** power
    return product


def _replaced(atom: Atom, mapping: Mapping[str, Dimension]) -> Dimension:
    if isinstance(atom, str):
        return mapping.get(atom) or Dimension.of(atom)
    return smaller(atom[0].replace(mapping), atom[1].replace(mapping))


_TOKEN = re.compile(r"\s*(?:(\d+)|([^\W\d]\w*)|(.))")


#: Limits of what is read as a dimension: characters, an exponent, `min` within `min`.
MOST_CHARACTERS, MOST_POWER, DEEPEST = 1000, 20, 50


def _parse(text: str) -> Dimension:
    if len(text) > MOST_CHARACTERS:
        raise ShapeMistake(f"a dimension of more than {MOST_CHARACTERS} characters is refused")
    if text.isascii() and text.isalpha():
        return Dimension.of(text)
    reader = _Reader(text)
    found = reader.sum()
    if reader.tokens:
        raise reader.wrong
    return found


class _Reader:
    """Reads a dimension from its tokens, the next one last: sums of products of powers."""

    def __init__(self, text: str) -> None:
        self.tokens = [m.group(0).strip() for m in _TOKEN.finditer(text.strip())][::-1]
        self.depth = 0
        self.wrong = ShapeMistake(
            f"{text!r} is not a dimension", hint="names and whole numbers are, as n, 4 or n*m + 1"
        )

    def next_is(self, token: str) -> bool:
        """Whether a token comes next; it is taken then."""
        found = bool(self.tokens) and self.tokens[-1] == token
        if found:
            self.tokens.pop()
        return found

    def taken(self) -> str:
        """The next token."""
        if not self.tokens:
            raise self.wrong
        return self.tokens.pop()

    def sum(self) -> Dimension:
        total = self.product() * -1 if self.next_is("-") else self.product()
        while self.tokens and self.tokens[-1] in "+-":
            sign = -1 if self.taken() == "-" else 1
            total = total + self.product() * sign
        return total

    def product(self) -> Dimension:
        total = self.power()
        while self.next_is("*"):
            total = total * self.power()
        return total

    def power(self) -> Dimension:
        base, total = self.atom(), Dimension.of(1)
        exponent = self.taken() if self.next_is("^") else "1"
        if not exponent.isdecimal() or int(exponent) > MOST_POWER:
            raise self.wrong
        for _ in range(int(exponent)):
            total = total * base
        return total

    def atom(self) -> Dimension:
        token = self.taken()
        if token == "min" and self.next_is("("):
            return self.smaller()
        if token.isdecimal():
            return Dimension.of(int(token))
        if not (token[:1].isalpha() or token[:1] == "_"):
            raise self.wrong
        return Dimension.of(token)

    def smaller(self) -> Dimension:
        """The smaller of two, behind the bracket."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong
        low = self.sum()
        comma = self.next_is(",")
        high = self.sum() if comma else low
        if not comma or not self.next_is(")"):
            raise self.wrong
        self.depth -= 1
        return smaller(low, high)
