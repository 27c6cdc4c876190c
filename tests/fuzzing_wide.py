"""More random formulas: matrices with properties, spectra, other spellings, complex numbers.

A `Wide` writer knows every word of the book, a `Complex` one those that complex numbers have. Both
write what a `Writer` of `fuzzing` does, and more; `question` there chooses between them by seed.
"""

from __future__ import annotations

from fuzzing_writer import KINKED, MINUS, NAMES, POSTFIX, PRODUCT, SUM, Maker, Said, Writer

__all__ = ["COMPLEX_NAMES", "WIDE_NAMES", "Complex", "Wide"]

#: Names with properties, beside those of every formula.
WIDE_NAMES = {
    **NAMES,
    "w": "n simplex",
    "C": "n n spd",
    "E": "n n diagonal",
    "F": "n n toeplitz",
    "J": "n n skew",
    "L": "n n lower",
    "Q": "n n orthogonal",
    "R": "n n upper",
    "M": "m m spd",
}
_STAY_REAL = frozenset({"c", "e", "p", "q", "P", "S", "phi"})
#: The same names, most of them complex.
COMPLEX_NAMES = {
    name: shape if name in _STAY_REAL else f"{shape} complex".strip()
    for name, shape in NAMES.items()
}
#: Words, and spellings, that are defined everywhere, near zero, above one, above zero.
PLAIN = "atan swish logistic asinh arcsinh arsinh".split()
NEAR = "asin acos atanh arctanh artanh".split()
BEYOND = ("acosh", "arccosh", "arcosh")
LOGARITHMS = "ln log2 log10".split()
#: Words of a square matrix that are defined for every argument, and those of spd ones.
ENTIRE = "expm sinm cosm".split()
ROOTED = "sqrtm chol".split()


class Wide(Writer):
    """Writes with all words and with matrices that have properties."""

    def entries(self, depth: int, body: Maker, dot: str) -> Said:
        if self.random.random() < 0.6:
            return super().entries(depth, body, dot)

        def above(d: int) -> Said:
            square = self.raised(body(d), "2", f"{dot}^")
            return Said(f"{square.at(PRODUCT)} + 1.5", SUM)

        word = self.random.choice
        return self.pick(
            depth - 1,
            (5, lambda d: self.call(word(PLAIN), body(d))),
            (2, lambda d: self.kinked(body(d))),
            (5, lambda d: self.call(word(NEAR), self.small(d, body, 0.5))),
            (4, lambda d: self.call(word(BEYOND), above(d))),
            (3, lambda d: self.call(word(LOGARITHMS), self.positive(d, body, dot))),
            (1, lambda d: self.call("logaddexp", self.part(body(d)), self.part(body(d)))),
        )

    def part(self, body: Said) -> Said:
        """What words of real numbers take: here all numbers are real."""
        return body

    def kinked(self, body: Said) -> Said:
        self.risky = True
        return self.call(self.random.choice((*KINKED, "sgn", "heaviside")), body)

    # Scalars

    def scalar(self, depth: int) -> Said:
        if depth <= 0 or self.random.random() < 0.7:
            return super().scalar(depth)
        n, m = self.size(), self.size()
        return self.pick(
            depth - 1,
            (2, lambda d: self.spectral_norm(d, n, m)),
            (1, lambda d: self.call("sum", self.call("svdvals", self.generic(d, n, m)))),
            (1, lambda d: self.call("norm2", self.call("eigvals", self.symmetric(d, n)))),
            (1, lambda d: self.call(self.random.choice(("det", "logdet")), self.definite(d, n))),
            (1, lambda d: self.call("tr", self.of_matrix(d, n))),
            (1, lambda d: self.logarithm(min(d, 1), n)),
            (1, lambda d: self.product(d)),
            (1, lambda d: self.simplex(d)),
        )

    def spectral_norm(self, depth: int, n: str, m: str) -> Said:
        self.risky = True
        return self.call(self.random.choice(("normnuc", "normspec")), self.generic(depth, n, m))

    def logarithm(self, depth: int, n: str) -> Said:
        """The logarithm of a matrix, in a number: its entries by entries would be many and slow."""
        return self.call(
            "tr", self.times(self.matrix(depth, n, n), self.call("logm", self.definite(depth, n)))
        )

    def product(self, depth: int) -> Said:
        """Numbers multiplied over a range."""
        if self.bound:
            return self.scalar(depth)
        self.bound.append("j")
        inside = self.times(self.scalar_of_index("j"), self.scalar(depth))
        self.bound.pop()
        low, high = self.random.choice((("1", "2"), ("1", "3"), ("1", "e")))
        return self.call("prod", "j", low, high, Said(f"1 + {inside.at(PRODUCT)}/4", SUM))

    def simplex(self, depth: int) -> Said:
        return self.pick(
            depth,
            (1, lambda d: Said("sum(w.*log(w))")),
            (1, lambda d: self.times(Said("w'"), self.vector(d, "n"))),
        )

    def sliced(self, depth: int) -> Said:
        if self.random.random() < 0.5:
            return super().sliced(depth)
        self.risky = True
        n, m = self.size(), self.size()
        slices = ("2:", ":2", "1:2", ":", "2:3")
        rows, columns = self.random.choice(slices), self.random.choice(slices)
        return self.pick(
            depth,
            (2, lambda d: Said(f"{self.vector(d, n).at(POSTFIX)}[{rows}]")),
            (2, lambda d: Said(f"{self.matrix(d, n, m).at(POSTFIX)}[{rows},{columns}]")),
            (1, lambda d: Said(f"({self.matrix(d, n, m).text})[{rows},1]")),
        )

    # Vectors

    def vector(self, depth: int, n: str) -> Said:
        if depth <= 0 or self.random.random() < 0.8:
            return self.name("w", "x", "y") if self.plainly(depth, n) else super().vector(depth, n)
        m = self.size()
        return self.pick(
            depth - 1,
            (2, lambda d: self.call("eigvals", self.symmetric(d, n))),
            (1, lambda d: self.call("svdvals", self.generic(d, n, n))),
            (1, lambda d: self.times(self.apart(d, n), self.vector(d, n))),
            (2, lambda d: self.commuted(d, n, m)),
            (1, lambda d: self.call("diag", self.of_matrix(d, n))),
            (1, lambda d: self.times(self.named_matrix(n), self.vector(d, n))),
            (1, lambda d: self.call("solve", self.definite(d, n), self.vector(d, n))),
        )

    def plainly(self, depth: int, n: str) -> bool:
        return depth <= 0 and n == "n" and self.random.random() < 0.2

    def apart(self, depth: int, n: str) -> Said:
        self.risky = True
        return self.call("gaps", self.vector(depth, n))

    def commuted(self, depth: int, n: str, m: str) -> Said:
        """A commutation matrix between a kron and a vec, back to n entries."""
        kron = self.call("kron", self.matrix(depth, n, n), self.turned(self.vector(depth, m)))
        turns = f"commutation({n}, {m})"
        return Said(f"{kron.text}*{turns}*vec({self.matrix(depth, n, m).text})", PRODUCT)

    # Matrices

    def matrix(self, depth: int, n: str, m: str) -> Said:
        if depth <= 0 or self.random.random() < 0.75:
            return super().matrix(depth, n, m)
        if n == m and self.random.random() < 0.6:
            return self.of_matrix(depth - 1, n)

        def frame(d: int) -> Said:
            """Singular vectors and values, taken apart and put together."""
            made = self.generic(min(d, 0), n, m).text
            return Said(f"svdleft({made})*diag(svdvals({made}).^2)*svdright({made})'", PRODUCT)

        return self.pick(
            depth - 1,
            (2, lambda d: self.call("transpose", self.matrix(d, m, n))),
            (1, lambda d: self.call("diagonals", self.matrix(d, n, m))),
            (1, lambda d: self.call("pinv", self.generic(d, m, n))),
            (1, lambda d: self.call("polar", self.generic(d, n, m))),
            (1, frame),
            (1, lambda d: self.times(self.named_matrix(n), self.matrix(d, n, m))),
        )

    def of_matrix(self, depth: int, n: str) -> Said:
        """A word that takes a square matrix to another."""
        word = self.random.choice
        return self.pick(
            depth,
            (2, lambda d: self.call(word(ENTIRE), self.calm(d, n))),
            (2, lambda d: self.call(word(ROOTED), self.definite(d, n))),
            (1, lambda d: self.call("adj", self.regular(d, n))),
            (1, lambda d: self.call("eigvecs", self.symmetric(min(d, 1), n))),
            (1, lambda d: self.named_matrix(n)),
        )

    def calm(self, depth: int, n: str) -> Said:
        """A square matrix whose exponential is not large."""
        if depth <= 0:
            return self.named_matrix(n)
        return self.call("sin", self.matrix(depth, n, n))

    def named_matrix(self, n: str) -> Said:
        return self.name(*"ABSEFJLQR") if n == "n" else self.name("G", "M")

    def generic(self, depth: int, n: str, m: str) -> Said:
        """A matrix whose singular values are not zero and not equal, most of the time."""
        self.risky = True
        if depth <= 0:
            return self.plain(n, m)
        return self.call(self.random.choice(("sin", "tanh")), self.matrix(depth - 1, n, m))

    def symmetric(self, depth: int, n: str) -> Said:
        self.risky = True  # eigenvalues may be equal
        if depth <= 0:
            return self.name("S", "C", "S") if n == "n" else self.name("M")
        square = self.matrix(depth - 1, n, n)
        return self.pick(
            depth - 1,
            (2, lambda d: Said(f"{square.at(SUM)} + {self.turned(square).text}", SUM)),
            (1, lambda d: Said(f"diag({self.vector(d, n).text})")),
            (1, lambda d: self.definite(d, n)),
        )

    def definite(self, depth: int, n: str) -> Said:
        name = "C" if n == "n" else "M"
        if depth <= 0:
            return Said(name)
        m = self.size()
        return self.pick(
            depth - 1,
            (2, lambda d: self.gram(self.matrix(d, m, n), n)),
            (1, lambda d: self.call("inv", Said(name))),
            (1, lambda d: Said(f"{name} + c^2*eye({n})", SUM)),
            (1, lambda d: Said(name)),
        )

    def regular(self, depth: int, n: str) -> Said:
        if n != "k" and self.random.random() < 0.2:
            return self.name("C", "E", "Q") if n == "n" else Said("M")
        return super().regular(depth, n)


class Complex(Writer):
    """Writes with complex names: words that are analytic, conjugates, parts, absolute values."""

    def kinked(self, body: Said) -> Said:
        return super().kinked(self.part(body))

    def part(self, body: Said) -> Said:
        """Real numbers made of complex ones."""
        return self.call(self.random.choice(("real", "imag", "abs", "real")), body)

    def undefined(self, body: Said) -> Said:
        return super().undefined(self.part(body))

    def hard(self, body: Said, *axis: str) -> Said:
        return super().hard(self.part(body), *axis)

    def extreme(self, left: Said, right: Said) -> Said:
        return super().extreme(self.part(left), self.part(right))

    def entries(self, depth: int, body: Maker, dot: str) -> Said:
        if self.random.random() < 0.5:
            return super().entries(depth, body, dot)
        return self.pick(
            depth - 1,
            (4, lambda d: self.call("conj", body(d))),
            (2, lambda d: self.call("real", body(d))),
            (2, lambda d: self.call("imag", body(d))),
            (2, lambda d: self.modulus(d, body)),
            (1, lambda d: self.times(Said("1i"), body(d))),
            (1, lambda d: self.call("exp", self.times(Said("1i"), self.part(body(d))))),
        )

    def modulus(self, depth: int, body: Maker) -> Said:
        self.risky = True
        return self.call("abs", body(depth))

    def positive(self, depth: int, body: Maker, dot: str) -> Said:
        """Real parts above zero; most are squares of absolute values."""
        square = self.raised(self.part(body(depth)), "2", f"{dot}^")
        return Said(f"1 + {square.at(PRODUCT)}", SUM)

    def small(self, depth: int, body: Maker, by: float = 1) -> Said:
        words = ("sin", "tanh", "erf", "erfc", "erfcx", "normcdf")
        made = self.call(self.random.choice(words), self.part(body(depth)))
        return made if by == 1 else self.times(made, Said("2"), "/")

    def reduced(self, depth: int) -> Said:
        word = self.random.choice(("sum", "mean", "var", "prod", "std", "max", "min", "logsumexp"))
        self.risky |= word in ("std", "max", "min", "prod", "logsumexp")
        body = self.array(depth)
        return self.call(word, self.part(body) if word in ("max", "min", "logsumexp") else body)

    def along(self, depth: int, n: str, m: str) -> Said:
        word = self.random.choice(("sum", "mean", "var"))
        if self.random.random() < 0.5:
            return self.call(word, self.matrix(depth, n, m), "2")
        return self.turned(self.call(word, self.matrix(depth, m, n), "1"))

    def turned(self, body: Said) -> Said:
        """A transpose, as often with the conjugate."""
        if self.random.random() < 0.5:
            return self.raised(body, "H")
        return super().turned(body)

    def gram(self, body: Said, n: str) -> Said:
        return Said(f"{self.raised(body, 'H').text}*{body.at(MINUS)} + eye({n})", SUM)
