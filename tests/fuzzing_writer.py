"""Writes random well-typed formulas: every method makes one kind of thing, some levels deep."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["NAMES", "Maker", "Said", "Writer"]

#: Every name that a formula may use, as it is declared.
NAMES = {
    "a": "",
    "c": "",
    "e": "",
    "x": "n",
    "y": "n",
    "u": "m",
    "v": "m",
    "z": "k",
    "p": "n positive",
    "q": "m positive",
    "A": "n n",
    "B": "n n",
    "G": "m m",
    "S": "n n symmetric",
    "W": "n m",
    "V": "n m",
    "P": "n m positive",
    "K": "m k",
    "T": "n m k",
    "phi": "entrywise",
}
SIZES = ("n", "m")
SUM, PRODUCT, MINUS, POWER, POSTFIX, ATOM = range(1, 7)
#: Words of one entry that are smooth and tame for every argument.
TAME = "sin cos arctan tanh sigmoid softplus gelu silu erf".split()
#: Words with kinks: defined everywhere, differentiable almost everywhere.
KINKED = "relu abs sign step".split()
#: Words that grow or have poles: their argument is kept small.
WILD = "exp expm1 sinh cosh tan".split()
#: Words that take all entries, or those along an axis, to one; the last ones have conditions.
REDUCING = "sum mean logsumexp var prod std max min".split()


@dataclass(frozen=True)
class Said:
    """A piece of text and how tightly it binds."""

    text: str
    level: int = ATOM

    def at(self, level: int) -> str:
        """The text, in brackets where it binds less tightly."""
        return self.text if self.level >= level else f"({self.text})"


Maker = Callable[[int], Said]


@dataclass
class Writer:
    """Writes one formula; every method makes one kind of thing, `depth` levels deep."""

    random: random.Random
    risky: bool = False
    bound: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def pick(self, depth: int, *makers: tuple[int, Maker]) -> Said:
        """One of several makers, by weight."""
        weights, chosen = zip(*makers, strict=True)
        return self.random.choices(chosen, weights)[0](depth)

    def name(self, *names: str) -> Said:
        return Said(self.random.choice(names))

    def size(self) -> str:
        return self.random.choice(SIZES)

    # Joining

    def call(self, word: str, *arguments: Said | str) -> Said:
        return Said(f"{word}({', '.join(a if isinstance(a, str) else a.text for a in arguments)})")

    def plus(self, left: Said, right: Said) -> Said:
        if self.random.random() < 0.5:
            return Said(f"{left.at(SUM)} + {right.at(PRODUCT)}", SUM)
        return Said(f"{left.at(SUM)} - {right.at(PRODUCT)}", SUM)

    def times(self, left: Said, right: Said, sign: str = "*") -> Said:
        return Said(f"{left.at(PRODUCT)}{sign}{right.at(MINUS)}", PRODUCT)

    def minus(self, body: Said) -> Said:
        return Said(f"-{body.at(POWER)}", MINUS)

    def turned(self, body: Said) -> Said:
        return Said(f"{body.at(POSTFIX)}'", POSTFIX)

    def raised(self, body: Said, exponent: str, sign: str = "^") -> Said:
        return Said(f"{body.at(POSTFIX)}{sign}{exponent}", POWER)

    def number(self) -> Said:
        return self.name("2", "3", "0.5", "1", "1.5", "pi", "4")

    # What any shape has in common: `body` makes more of the same shape

    def entries(self, depth: int, body: Maker, dot: str) -> Said:
        """Functions of single entries; `dot` is "" for a scalar and "." for an array."""
        word = self.random.choice
        some = (
            (6, lambda d: self.call(word(TAME), body(d))),
            (2, lambda d: self.kinked(body(d))),
            (2, lambda d: self.call(word(WILD), self.small(d, body))),
            (2, lambda d: self.call(word(("log", "sqrt", "log1p")), self.positive(d, body, dot))),
            (1, lambda d: self.call(word(("arcsin", "arccos")), self.small(d, body, 0.5))),
            (1, lambda d: self.call("log1p", self.small(d, body, 0.5))),
            (2, lambda d: self.raised(body(d), word(("2", "3")), f"{dot}^")),
            (1, lambda d: self.raised(self.positive(d, body, dot), "(1/2)", f"{dot}^")),
            (1, lambda d: self.raised(self.positive(d, body, dot), "(-1)", f"{dot}^")),
            (1, lambda d: self.raised(self.positive(d, body, dot), "a", f"{dot}^")),
            (1, lambda d: self.extreme(body(d), body(d))),
            (1, lambda d: self.undefined(body(d))),
        )
        return self.pick(depth - 1, *some)

    def kinked(self, body: Said) -> Said:
        self.risky = True
        return self.call(self.random.choice(KINKED), body)

    def undefined(self, body: Said) -> Said:
        return self.call("phi", body)

    def hard(self, body: Said, *axis: str) -> Said:
        self.risky = True
        return self.call("hardmax", body, *axis)

    def extreme(self, left: Said, right: Said) -> Said:
        self.risky = True
        return self.call(self.random.choice(("max", "min", "maximum", "minimum")), left, right)

    def small(self, depth: int, body: Maker, by: float = 1) -> Said:
        """Entries between -1 and 1, or half of that."""
        made = self.call(self.random.choice(("sin", "tanh", "erf")), body(depth))
        return made if by == 1 else self.times(made, Said("2"), "/")

    def positive(self, depth: int, body: Maker, dot: str) -> Said:
        """Entries above zero; once in a while nobody knows."""
        if self.random.random() < 0.03:
            self.risky = True
            return body(depth)
        square = self.raised(body(depth), "2", f"{dot}^")
        return self.pick(
            depth,
            (3, lambda d: Said(f"1 + {square.at(PRODUCT)}", SUM)),
            (1, lambda d: Said(f"{square.at(PRODUCT)} + 0.5", SUM)),
            (1, lambda d: self.call("exp", self.small(d, body))),
            (1, lambda d: Said(f"{self.call('sigmoid', body(d)).text} + 1", SUM)),
            (1, lambda d: Said(f"2 + {self.call('sin', body(d)).text}", SUM)),
        )

    def joined(self, depth: int, body: Maker) -> Said:
        """Sums, multiples, quotients of one shape."""
        return self.pick(
            depth - 1,
            (5, lambda d: self.plus(body(d), body(d))),
            (2, lambda d: self.times(self.scalar(d), body(d))),
            (1, lambda d: self.minus(body(d))),
            (1, lambda d: self.times(body(d), self.number(), "/")),
            (1, lambda d: self.times(body(d), self.positive(d, self.scalar, ""), "/")),
            (1, lambda d: self.ranged(d, body)),
        )

    def dotted(self, depth: int, body: Maker) -> Said:
        """Products and quotients entry by entry, powers with an array for exponent."""
        return self.pick(
            depth - 1,
            (4, lambda d: self.times(body(d), body(d), ".*")),
            (1, lambda d: self.times(body(d), body(d), "⊙")),
            (2, lambda d: self.times(body(d), self.positive(d, body, "."), "./")),
            (1, lambda d: self.times(self.number(), self.positive(d, body, "."), "./")),
            (
                1,
                lambda d: self.raised(
                    self.positive(d, body, "."), self.small(d, body, ".").text, ".^"
                ),
            ),
            (1, lambda d: self.plus(body(d), self.scalar(d))),
        )

    def ranged(self, depth: int, body: Maker) -> Said:
        """A sum over a named range; its index is a scalar inside."""
        index = next((i for i in ("r", "s", "t") if i not in self.bound), None)
        if index is None or self.random.random() < 0.3:
            return body(depth)
        self.bound.append(index)
        inside = self.times(self.scalar_of_index(index), body(depth))
        self.bound.pop()
        low, high = self.random.choice((("0", "2"), ("1", "3"), ("1", "e")))
        return self.call("sum", index, low, high, inside)

    def scalar_of_index(self, index: str) -> Said:
        return self.pick(
            0,
            (2, lambda d: Said(index)),
            (1, lambda d: Said(f"{index}^2", POWER)),
            (1, lambda d: Said(f"(1+a^2)^{index}", POWER)),
            (1, lambda d: Said(f"sin({index}*a)")),
        )

    # Scalars

    def scalar(self, depth: int) -> Said:
        if depth <= 0:
            return self.pick(
                0,
                (5, lambda d: self.name("a", "c", *self.bound)),
                (2, lambda d: self.number()),
                (2, lambda d: self.name("x[1]", "u[2]", "W[1,2]", "A[2,1]", "S[1,2]", "T[1,2,1]")),
                (1, lambda d: self.name("(x'*y)", "sum(u)", "tr(A)", "norm2(x)", "n")),
            )
        n, m = self.size(), self.size()
        return self.pick(
            depth - 1,
            (3, lambda d: self.times(self.turned(self.vector(d, n)), self.vector(d, n))),
            (2, lambda d: self.quadratic(d, n, m)),
            (4, lambda d: self.reduced(d)),
            (2, lambda d: self.normed(d)),
            (2, lambda d: self.traced(d, n, m)),
            (2, lambda d: self.determined(d, n)),
            (1, lambda d: self.call("dot", self.vector(d, n), self.vector(d, n))),
            (1, lambda d: self.call("dot", self.matrix(d, n, m), self.matrix(d, n, m))),
            (1, lambda d: self.times(self.scalar(d), self.scalar(d))),
            (1, lambda d: self.call("sum", self.raised(self.sliced(d), "2", ".^"))),
            (1, lambda d: self.call("norm2", self.sliced(d))),
            (1, lambda d: self.literal(d)),
            (1, lambda d: Said(f"({self.vector(d, n).text})[2]")),
            (1, lambda d: Said(f"({self.matrix(d, n, m).text})[1,2]")),
            (3, lambda d: self.entries(d, self.scalar, "")),
            (2, lambda d: self.joined(d, self.scalar)),
        )

    def quadratic(self, depth: int, n: str, m: str) -> Said:
        left = self.times(self.turned(self.vector(depth, n)), self.matrix(depth, n, m))
        return self.times(left, self.vector(depth, m))

    def reduced(self, depth: int) -> Said:
        """A word that takes all entries to one."""
        word = self.random.choice(REDUCING)
        self.risky |= word in ("std", "max", "min", "prod")
        return self.call(word, self.array(depth))

    def normed(self, depth: int) -> Said:
        self.risky = True
        body = self.array(depth)
        if self.random.random() < 0.2:
            return Said(f"‖{body.text}‖")
        return self.call(self.random.choice(("norm1", "norm2", "norm2", "norminf")), body)

    def array(self, depth: int) -> Said:
        return self.pick(
            depth,
            (3, lambda d: self.vector(d, self.size())),
            (3, lambda d: self.matrix(d, self.size(), self.size())),
            (1, lambda d: self.tensor(d)),
        )

    def traced(self, depth: int, n: str, m: str) -> Said:
        some, call = self.matrix, self.call
        return self.pick(
            depth,
            (2, lambda d: call("tr", some(d, n, n))),
            (2, lambda d: call("trace", self.times(some(d, n, m), some(d, m, n)))),
            (1, lambda d: call("tr", call("kron", some(d, n, n), some(d, m, m)))),
            (1, lambda d: call("tr", self.blocks(d, n))),
        )

    def blocks(self, depth: int, n: str) -> Said:
        rows = [[self.matrix(depth - 1, n, n).text for _ in range(2)] for _ in range(2)]
        return Said("[" + "; ".join(", ".join(row) for row in rows) + "]")

    def determined(self, depth: int, n: str) -> Said:
        return self.call(self.random.choice(("det", "logdet")), self.regular(depth, n))

    def literal(self, depth: int) -> Said:
        made = [self.scalar(depth - 1).text for _ in range(4)]
        word = self.random.choice(("det", "sum", "logsumexp"))
        self.risky |= word == "det"
        return Said(f"{word}([{made[0]}, {made[1]}; {made[2]}, {made[3]}])")

    def sliced(self, depth: int) -> Said:
        self.risky = True  # the length of a slice may be zero
        n, m = self.size(), self.size()
        return self.pick(
            depth,
            (
                1,
                lambda d: self.name(
                    "x[1:2]", "x[2:n]", "W[1:2,:]", "W[:,2:3]", "T[:,1,:]", "T[1,:,2]"
                ),
            ),
            (1, lambda d: Said(f"({self.vector(d, n).text})[1:2]")),
            (1, lambda d: Said(f"({self.matrix(d, n, m).text})[2:3,1]")),
        )

    # Vectors

    def vector(self, depth: int, n: str) -> Said:
        names = {"n": ("x", "y", "p", "x", "y"), "m": ("u", "v", "q", "u"), "k": ("z",)}[n]
        if depth <= 0:
            return self.name(*names)

        def same(d: int) -> Said:
            return self.vector(d, n)

        m = self.size()
        return self.pick(
            depth - 1,
            (6, lambda d: self.times(self.matrix(d, n, m), self.vector(d, m))),
            (2, lambda d: self.times(self.turned(self.matrix(d, m, n)), self.vector(d, m))),
            (2, lambda d: self.call("diag", self.matrix(d, n, n))),
            (2, lambda d: self.along(d, n, m)),
            (3, lambda d: self.call(self.random.choice(("softmax", "logsoftmax")), same(d))),
            (1, lambda d: self.hard(same(d))),
            (1, lambda d: self.call("solve", self.regular(d, n), same(d))),
            (1, lambda d: self.times(self.regular(d, n), same(d), "\\")),
            (1, lambda d: self.times(self.call("inv", self.regular(d, n)), same(d))),
            (1, lambda d: Said(f"({self.matrix(d, n, m).text})[:,1]")),
            (1, lambda d: self.turned(Said(f"({self.matrix(d, m, n).text})[2,:]"))),
            (1, lambda d: self.name(f"unit({n}, 1)", f"ones({n})", f"zeros({n})")),
            (1, lambda d: self.plus(same(d), self.call("vector", self.scalar(d)))),
            (1, lambda d: self.stacked(d, n)),
            (1, lambda d: self.einsum(d, n)),
            (5, lambda d: self.entries(d, same, ".")),
            (3, lambda d: self.joined(d, same)),
            (3, lambda d: self.dotted(d, same)),
        )

    def along(self, depth: int, n: str, m: str) -> Said:
        """A word along the rows, or down the columns."""
        word = self.random.choice(REDUCING)
        self.risky |= word in ("std", "max", "min", "prod")
        if self.random.random() < 0.5:
            return self.call(word, self.matrix(depth, n, m), "2")
        return self.turned(self.call(word, self.matrix(depth, m, n), "1"))

    def stacked(self, depth: int, n: str) -> Said:
        """A product with a vec or a kron of vectors, back to n entries."""
        m = self.size()
        kron = self.call("kron", self.matrix(depth, n, n), self.turned(self.vector(depth, m)))
        if self.random.random() < 0.5:
            return self.times(kron, self.call("vec", self.matrix(depth, m, n)))
        return self.times(kron, self.call("kron", self.vector(depth, n), self.vector(depth, m)))

    def einsum(self, depth: int, n: str) -> Said:
        a, b = self.matrix(depth, n, n), self.vector(depth, n)
        product = self.random.choice(("ij,j->i", "ij,i->j", "ii,i->i", "ij,i->i", "ij,j->j"))
        return Said(f'einsum("{product}", {a.text}, {b.text})')

    # Matrices

    def matrix(self, depth: int, n: str, m: str) -> Said:
        if depth <= 0:
            return self.plain(n, m)

        def same(d: int) -> Said:
            return self.matrix(d, n, m)

        k = self.size()
        some = [
            (5, lambda d: self.times(self.matrix(d, n, k), self.matrix(d, k, m))),
            (2, lambda d: self.turned(self.matrix(d, m, n))),
            (3, lambda d: self.times(self.vector(d, n), self.turned(self.vector(d, m)))),
            (1, lambda d: self.call("outer", self.vector(d, n), self.vector(d, m))),
            (2, lambda d: self.times(self.call("diag", self.vector(d, n)), same(d))),
            (2, lambda d: self.times(same(d), self.call("diag", self.vector(d, m)))),
            (2, lambda d: self.call(self.random.choice(("tril", "triu")), same(d))),
            (2, lambda d: self.rowwise(same(d))),
            (1, lambda d: self.call("solve", self.regular(d, n), same(d))),
            (1, lambda d: self.plus(same(d), self.call("matrix", self.scalar(d)))),
            (1, lambda d: Said(f"ones({n}, {m})")),
            (1, lambda d: self.contracted(d, n, m)),
            (5, lambda d: self.entries(d, same, ".")),
            (3, lambda d: self.joined(d, same)),
            (3, lambda d: self.dotted(d, same)),
        ]
        return self.pick(depth - 1, *some, *(self.square(n) if n == m else ()))

    def square(self, n: str) -> Sequence[tuple[int, Maker]]:
        def same(d: int) -> Said:
            return self.matrix(d, n, n)

        return (
            (3, lambda d: self.call("inv", self.regular(d, n))),
            (1, lambda d: self.raised(self.regular(d, n), self.random.choice(("-1", "-2")))),
            (2, lambda d: self.raised(same(d), self.random.choice(("2", "3", "e")))),
            (1, lambda d: self.raised(same(d), "T")),
            (1, lambda d: self.call("matrix_power", same(d), "2")),
            (1, lambda d: self.call("diag", self.vector(d, n))),
            (2, lambda d: self.plus(same(d), Said(f"eye({n})"))),
            (1, lambda d: Said("A*eye*B" if n == "n" else "G*eye*G", PRODUCT)),
            (1, lambda d: self.series(d, n)),
            (1, lambda d: self.chain(d, n)),
        )

    def plain(self, n: str, m: str) -> Said:
        if n == m and n != "k":
            return self.name(*(("A", "B", "S", "A") if n == "n" else ("G",)))
        if n == "n" and m == "m":
            return self.name("W", "V", "P", "W")
        if "k" in (n, m):
            made = {"mk": "K", "km": "K'", "nk": "W*K", "kn": "K'*V'", "kk": "K'*K"}[n + m]
            return Said(made, PRODUCT)
        if n == "m":
            return Said(f"{self.random.choice(('W', 'V', 'P'))}'", POSTFIX)
        raise AssertionError((n, m))

    def rowwise(self, body: Said) -> Said:
        if self.random.random() < 0.2:
            return self.hard(body, *self.random.choice(((), ("1",), ("2",))))
        word = self.random.choice(("softmax", "logsoftmax"))
        return self.call(word, body, self.random.choice("12"))

    def contracted(self, depth: int, n: str, m: str) -> Said:
        """A tensor of three axes by a vector."""
        if (n, m) == ("n", "m"):
            return self.pick(
                depth,
                (1, lambda d: self.times(self.tensor(d), self.vector(d, "k"))),
                (1, lambda d: Said(f'einsum("ijk,k->ij", {self.tensor(d).text}, z)')),
                (1, lambda d: Said(f"({self.tensor(d).text})[:,:,2]")),
                (1, lambda d: self.times(Said("T[:,1,:]"), self.turned(Said("K")))),
            )
        return self.matrix(depth, n, m)

    def tensor(self, depth: int) -> Said:
        return self.pick(
            depth,
            (2, lambda d: Said("T")),
            (1, lambda d: self.call(self.random.choice(TAME), Said("T"))),
            (1, lambda d: self.times(self.scalar(d - 1), Said("T"))),
            (1, lambda d: Said("T.*T + T", SUM)),
            (1, lambda d: Said('einsum("ij,jk->ijk", W, K)')),
        )

    def series(self, depth: int, n: str) -> Said:
        if self.bound:
            return self.matrix(depth, n, n)
        made = self.matrix(min(depth, 1), n, n)
        other = self.matrix(min(depth, 1), n, n)
        return Said(f"sum(r, 0, e, {made.at(POSTFIX)}^r*{other.at(MINUS)})")

    def chain(self, depth: int, n: str) -> Said:
        if self.bound:
            return self.matrix(depth, n, n)
        return Said(f"prod(j, 1, 3, {self.matrix(min(depth, 1), n, n).at(PRODUCT)} + j*eye({n}))")

    def regular(self, depth: int, n: str) -> Said:
        """A square matrix that has an inverse near random points."""
        if n == "k":
            return Said("K'*K + eye(k)", SUM)
        names = ("A", "B", "S", "A") if n == "n" else ("G",)
        if depth <= 0 or self.random.random() < 0.4:
            return self.name(*names)
        if self.random.random() < 0.1:
            self.risky = True
            return self.matrix(depth - 1, n, n)
        m = self.size()
        return self.pick(
            depth - 1,
            (2, lambda d: self.gram(self.matrix(d, m, n), n)),
            (1, lambda d: self.times(self.name(*names), self.name(*names))),
            (1, lambda d: self.turned(self.name(*names))),
            (1, lambda d: Said(f"sin({self.matrix(d, n, n).text})/4 + 2*eye({n})", SUM)),
            (1, lambda d: Said(f"diag({self.positive(d, lambda e: self.vector(e, n), '.').text})")),
        )

    def gram(self, body: Said, n: str) -> Said:
        return Said(f"{self.turned(body).text}*{body.at(MINUS)} + eye({n})", SUM)

    # Whole formulas

    def whole(self, depth: int) -> str:
        body = self.body(depth)
        roll = self.random.random()
        if roll < 0.06:
            return f"{self.named(depth)}\n{body.text}"
        if roll < 0.12:
            part = self.matrix(depth - 1, "n", "m").text
            outer = self.name("H'*H", "tr(H*H')", "tanh(H)*u", "H.*H + H").text
            return f"{outer} where H = {part}"
        if roll < 0.18:
            return self.indexed()
        return body.text

    def body(self, depth: int) -> Said:
        return self.pick(
            depth,
            (5, self.scalar),
            (4, lambda d: self.vector(d, self.size())),
            (3, lambda d: self.matrix(d, self.size(), self.size())),
        )

    def named(self, depth: int) -> str:
        """A line that defines a name; it takes the place of x in the line below."""
        self.taken.add("y")
        body = self.vector(depth - 1, "n").text
        return "y = " + re.sub(r"\by\b", "x", body)

    def indexed(self) -> str:
        """Index form: the letters that the left lacks are summed."""
        dims = {"i": "n", "j": "m", "l": "n", "s": "k"}
        pool = {
            ("i",): "xyp",
            ("j",): "uvq",
            ("l",): "xyp",
            ("s",): "z",
            ("i", "j"): "WVP",
            ("l", "j"): "WVP",
            ("i", "l"): "ABS",
            ("l", "i"): "ABS",
            ("j", "s"): "K",
            ("i", "j", "s"): "T",
        }
        chosen = [self.random.choice(list(pool)) for _ in range(self.random.randint(2, 4))]
        factors = [f"{self.random.choice(pool[c])}[{','.join(c)}]" for c in chosen]
        factors = [
            f"{self.random.choice(TAME)}({f})" if self.random.random() < 0.2 else f for f in factors
        ]
        met = sorted({letter for c in chosen for letter in c})
        lone = [i for i in met if "".join(map("".join, chosen)).count(i) == 1]
        left = lone + [i for i in met if i not in lone and self.random.random() < 0.3]
        self.random.shuffle(left)
        head = f"D[{','.join(left)}]" if left else "D"
        assert set(met) <= set(dims)
        return f"{head} = {'*'.join(factors)}"
