"""Programs agree with the meaning on random well-typed formulas."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from wrt import programs
from wrt.errors import WrtError
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.function import Function
from wrt.expression.meaning import evaluate
from wrt.expression.nodes import Apply, Node, Pattern, Relation, Variable

D = {c: Dimension.of(c) for c in "nmk"}
SIZES = {"n": 4, "m": 3, "k": 5}
LETTERS = "abcde"
WORD = "A function."

ENTRYWISE = [
    Function("tanh(x) -> y", WORD, array="tanh"),
    Function("relu(x) -> y", WORD, array="def relu(x):\n    return np.maximum(x, 0)"),
    Function(
        "sigmoid(x) -> y",
        WORD,
        array=(
            "def sigmoid(x):\n"
            "    e = np.exp(-np.abs(x))\n"
            "    return np.where(x < 0, e, 1) / (1 + e)"
        ),
    ),
]
LARGER = [
    Function("maximum(x, y) -> z", WORD, array="maximum"),
    Function("minimum(x, y) -> z", WORD, array="minimum"),
]
REDUCED = [
    Function(
        "norm2(x: ...) -> y", WORD, array="def norm2(x):\n    return np.linalg.norm(x, axis=-1)"
    ),
    Function("mean(x: ...) -> y", WORD, array="def mean(x):\n    return np.mean(x, axis=-1)"),
    Function(
        "logsumexp(x: ...) -> y",
        WORD,
        array=(
            "def logsumexp(x):\n"
            "    top = np.max(x, axis=-1, keepdims=True)\n"
            "    return top[..., 0] + np.log(np.sum(np.exp(x - top), axis=-1))"
        ),
    ),
]
SOFTMAX = Function(
    "softmax(x: n) -> y: n",
    WORD,
    array=(
        "def softmax(x):\n"
        "    e = np.exp(x - np.max(x, axis=-1, keepdims=True))\n"
        "    return e / np.sum(e, axis=-1, keepdims=True)"
    ),
)
INV = Function("inv(X: n n) -> Y: n n", WORD, array="linalg.inv")
DET = Function("det(X: n n) -> y", WORD, array="linalg.det")
EIGH = Function("eigh(X: n n) -> l: n, V: n n", WORD, array="linalg.eigh")
SIGMA = Function(
    "svd(X: n n) -> U: n n, s: n", WORD, array="def svd(X):\n    return np.linalg.svd(X)[:2]"
)

KINDS = [
    *["product"] * 3,
    *["contraction"] * 2,
    *["sum"] * 2,
    "entry",
    "larger",
    "general",
    "power",
]
KINDS += ["loop", "reshape", "cut", "pattern", "repeated", "results"]


class Maker:
    """Makes one random formula of wanted dimensions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counters: list[Variable] = []

    def dim(self) -> Dimension:
        return self.random.choice(list(D.values()))

    def dims(self) -> tuple[Dimension, ...]:
        return tuple(self.dim() for _ in range(self.random.choice([0, 1, 1, 2, 2, 2, 3])))

    def leaf(self, dims: tuple[Dimension, ...]) -> Node:
        if self.random.random() < 0.15:
            value = self.random.choice([2, -1, Fraction(1, 3), 0.5])
            return build.broadcast(build.number(value), dims)
        if not dims and self.counters and self.random.random() < 0.6:
            return self.random.choice(self.counters)
        return self.variable(dims)

    def variable(self, dims: tuple[Dimension, ...]) -> Variable:
        said = "".join(str(d) for d in dims).translate(str.maketrans("*+- ", "tps_"))
        return Variable(f"v{said}_{self.random.randint(0, 2)}", dims)

    def make(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        if depth <= 0:
            return self.leaf(dims)
        made: Node = getattr(self, self.random.choice(KINDS))(depth - 1, dims)
        return made

    # One method for each kind

    def sum(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        factors = [1, -1, 2, Fraction(-1, 3)]
        count = self.random.randint(2, 4)
        return build.add(
            *[
                build.scale(self.random.choice(factors), self.make(depth, dims))
                for _ in range(count)
            ]
        )

    def entry(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        return self.random.choice(ENTRYWISE)(build.scale(Fraction(1, 3), self.make(depth, dims)))

    def larger(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        return self.random.choice(LARGER)(self.make(depth, dims), self.make(depth, dims))

    def power(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        base = build.plus(build.power(self.make(depth, dims), 2), 1)
        half, third = Fraction(1, 2), Fraction(1, 3)
        return build.power(base, self.random.choice([-1, -2, half, -half, 3 * half, third, 2, 3]))

    def general(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        square = len(dims) > 1 and dims[-1] is dims[-2]
        if dims and self.random.random() < 0.4:
            return Apply(SOFTMAX, (self.make(depth, dims),), len(dims) - 1)
        if square and self.random.random() < 0.7:
            return Apply(INV, (self.regular(depth, dims),), len(dims) - 2)
        if len(dims) < 2 and self.random.random() < 0.3:
            n = self.dim()
            return Apply(DET, (self.make(depth, (*dims, n, n)),), len(dims))
        more = tuple(self.dim() for _ in range(self.random.randint(1, max(1, 4 - len(dims)))))
        return Apply(self.random.choice(REDUCED), (self.make(depth, dims + more),), len(dims))

    def regular(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        small = build.scale(Fraction(1, 6), ENTRYWISE[0](self.make(depth, dims)))
        return build.add(small, build.broadcast(build.identity(dims[-1]), dims))

    def results(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        if len(dims) != 1:
            return self.sum(depth, dims)
        n = dims[0]
        values, vectors = EIGH(build.einsum("ij,kj->ik", *[self.variable((n, n))] * 2))
        _, sigma = SIGMA(self.variable((n, n)))
        squared = build.einsum("ij->i", build.power(vectors, 2))
        return build.add(values, squared, sigma)

    def loop(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        counter = Variable(f"q{self.random.randint(0, 1)}", ())
        ends: list[Node] = [
            build.number(self.random.randint(0, 3)),
            build.add(build.number(D["m"]), build.number(-1)),
            Variable("T", ()),
            *self.counters,
        ]
        low, high = build.number(self.random.randint(0, 2)), self.random.choice(ends)
        square = not dims or (len(dims) == 2 and dims[0] is dims[1])
        kind = "prod" if square and self.random.random() < 0.4 else "sum"
        self.counters.append(counter)
        body = self.make(depth, dims)
        if self.random.random() < 0.7:
            body = build.multiply(body, build.plus(build.scale(Fraction(1, 7), counter), 1))
        self.counters.pop()
        return build.bounded(kind, counter, low, high, body)

    def reshape(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        if len(dims) == 1 and self.random.random() < 0.5:
            length = D["n"] * D["m"]
            flat = build.reshape(self.make(depth, (D["n"], D["m"])), (length,))
            return build.einsum("ab,b->a", self.make(depth, (dims[0], length)), flat)
        if len(dims) == 2 and self.random.random() < 0.5:
            a, b = dims
            made = build.einsum("ac,bd->abcd", self.make(depth, (a, b)), self.make(depth, (a, b)))
            kron = ENTRYWISE[0](build.reshape(made, (a * a, b * b)))
            return build.einsum("abcd->ac", build.reshape(kron, (a, a, b, b)))
        flat_dim = Dimension.of(1)
        for d in dims:
            flat_dim = flat_dim * d
        flat = ENTRYWISE[0](build.reshape(self.make(depth, dims), (flat_dim,)))
        return build.reshape(flat, dims)

    def cut(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        """Entries, slices, and slices put back in another place."""
        if not dims:
            return self.make(depth, (D["m"],))[self.random.choice([0, 2, -1])]
        at = self.random.randrange(len(dims))
        if self.random.random() < 0.5:
            body = self.make(depth, dims)
            part = body[tuple(slice(0, 2) if i == at else slice(None) for i in range(len(dims)))]
            letters = LETTERS[: len(dims)]
            place = build.section(Dimension.of(2), dims[at], 1)
            out = letters.replace(letters[at], "z")
            return build.einsum(f"{letters},{letters[at]}z->{out}", part, place)
        body = self.make(depth, (*dims[:at], dims[at] + 1, *dims[at + 1 :]))
        key = self.random.choice([slice(0, -1), slice(1, None)])
        return body[tuple(key if i == at else slice(None) for i in range(len(dims)))]

    def pattern(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        """Triangles, shifted δ, sums of indices; one axis summed now and then."""
        body, axes = self.make(depth, dims), tuple(range(len(dims)))
        if not dims:
            return body
        if len(dims) == 1:
            unit = build.unit(dims[0], self.random.choice([0, 1, 2]))
            return build.product(ONE, [(body, 1, axes), (unit, 1, (0,))], axes, dims)
        i, j = self.random.sample(axes, 2)
        shift = Dimension.of(self.random.choice([0, 1, -1]))
        kind = self.random.choice([">=", "=="])
        one = Pattern((dims[i], dims[j]), [Relation(((0, 1), (1, -1)), shift, kind)])
        factors = [(body, 1, axes), (one, 1, (i, j))]
        if len(dims) == 3 and self.random.random() < 0.4:
            relation = Relation(((0, 1), (1, 1), (2, -1)), Dimension.of(-1), "==")
            factors.append((Pattern(dims, [relation]), 1, axes))
        if self.random.random() < 0.6:
            return build.product(ONE, factors, axes, dims)
        less = [a for a in axes if a != i]
        return self.put(build.product(ONE, factors, less, dims), dims, i)

    def repeated(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        if not dims:
            return self.make(depth, dims)
        at = self.random.randrange(len(dims))
        return self.put(self.make(depth, dims[:at] + dims[at + 1 :]), dims, at)

    def put(self, node: Node, dims: tuple[Dimension, ...], at: int) -> Node:
        letters = LETTERS[: len(dims)]
        less = letters.replace(letters[at], "")
        return build.einsum(f"{less}->{letters}", node, dims={letters[at]: dims[at]})

    def product(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        return self._product(
            depth, dims, repeats=0.35, powers=[1, 1, 1, 1, 2, -1, -2, "1/2", "-1/2"]
        )

    def contraction(self, depth: int, dims: tuple[Dimension, ...]) -> Node:
        return self._product(0, dims, repeats=0.05, powers=[*[1] * 14, 2, -1])

    def _product(
        self, depth: int, dims: tuple[Dimension, ...], repeats: float, powers: list
    ) -> Node:
        choice = self.random.choice
        index_dims, out = list(dims), list(range(len(dims)))
        for a in range(len(dims)):
            for b in range(a):
                if dims[a] is dims[b] and self.random.random() < repeats:
                    out[a] = out[b]
        index_dims += [self.dim() for _ in range(self.random.randint(0, 3))]
        pool = sorted({*out, *range(len(dims), len(index_dims))})
        factors = []
        for _ in range(self.random.randint(1, 4)):
            count = choice([0, 1, 1, 2, 2, 2, 3]) if pool else 0
            own = tuple(choice(pool) for _ in range(count))
            if not depth:
                own = tuple(dict.fromkeys(own))
            node = self.make(depth, tuple(index_dims[i] for i in own))
            exponent = choice(powers)
            exponent = Fraction(exponent) if isinstance(exponent, str) else exponent
            if exponent != 1:
                node = build.plus(build.power(node, 2), Fraction(1, 2))
            factors.append((node, exponent, own))
        c = Coefficient.of(choice([1, 1, -1, 2, Fraction(1, 2), Fraction(-2, 3)]))
        c = c * choice([ONE] * 8 + [Coefficient.of(D["n"]) ** -1, Coefficient.of("pi")])
        names = {i: k for k, i in enumerate(sorted({*out, *(i for f in factors for i in f[2])}))}
        moved = [(f, e, tuple(names[i] for i in own)) for f, e, own in factors]
        return build.product(c, moved, [names[i] for i in out], [index_dims[i] for i in names])


def formula_of(seed: int) -> Node:
    maker = Maker(seed)
    return maker.make(maker.random.choice([1, 2, 2, 3]), maker.dims())


def values_of(formula: Node, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        v.name: np.asarray(3.0)
        if v.name == "T"
        else rng.normal(size=[d.size(SIZES) for d in v.dims])
        for v in formula.names
    }


def agree(seed: int) -> bool:
    """Whether a random formula could be judged; fails where the program disagrees."""
    try:
        formula = formula_of(seed)
        values = values_of(formula, seed)
        wanted = evaluate(formula, values, SIZES)
    except WrtError:
        return False
    if not np.isfinite(wanted).all() or np.abs(wanted).max() > 1e12:
        return False
    program = programs.compile(formula)
    missing = {n: SIZES[n] for n in program.sizes}
    scale = max(1.0, float(np.abs(wanted).max()))
    got = program({**values, **missing})
    assert got.shape == wanted.shape, program.source
    np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-8 * scale, err_msg=program.source)
    return True


@pytest.mark.parametrize("start", range(0, 1500, 100))
def test_programs_mean_what_the_formula_means(start):
    judged = sum(agree(seed) for seed in range(start, start + 100))
    assert judged > 80
