"""Random formulas built in Python: general products, three axes, reshapes, broadcasting."""

from __future__ import annotations

import copy
import pickle
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wrt
from judging import judge_answer
from wrt.algebra import equal, expand, flat_form, normal_form
from wrt.calculus import derivative, gradients
from wrt.expression import build
from wrt.expression.coefficient import ONE, Coefficient
from wrt.expression.dimensions import Dimension
from wrt.expression.nodes import Node, Pattern, Relation, Variable
from wrt.expression.walk import substitute
from wrt.functions import BOOK

N, M, K = map(Dimension.of, ("n", "m", "k"))
Dims = tuple[Dimension, ...]
TAME = [BOOK[w] for w in "tanh sin sigmoid softplus arctan".split()]
ALONG = [BOOK[w] for w in "sum mean logsumexp var".split()]
KINDS = "product product product sum entry power axis reshape cut spread triangle quotient".split()
ORDINARY = [1, 1, 1, 1, 2, -1]


class Maker:
    """Makes a formula of wanted dimensions; every formula is defined everywhere."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"nodes {seed}")

    def dims(self, most: int = 3) -> Dims:
        count = min(most, self.random.choice([0, 1, 1, 2, 2, 3]))
        return tuple(self.random.choice([N, M, K]) for _ in range(count))

    def leaf(self, dims: Dims) -> Node:
        if self.random.random() < 0.1:
            return build.broadcast(build.number(self.random.choice([2, Fraction(1, 3), -1])), dims)
        said = "".join(map(str, dims)).translate(str.maketrans("*+-^", "tpds", " "))
        return Variable(f"v{said}{self.random.randint(0, 1)}", dims)

    def make(self, depth: int, dims: Dims) -> Node:
        if depth <= 0:
            return self.leaf(dims)
        made: Node = getattr(self, self.random.choice(KINDS))(depth - 1, dims)
        assert made.dims == dims
        return made

    def product(self, depth: int, dims: Dims) -> Node:
        """A general product: repeated outputs, indices that nobody carries, powers."""
        choice = self.random.choice
        out, index_dims = list(range(len(dims))), list(dims)
        for a in range(len(dims)):
            for b in range(a):
                if dims[a] is dims[b] and self.random.random() < 0.3:
                    out[a] = out[b]
        index_dims += [choice([N, M, K]) for _ in range(self.random.randint(0, 2))]
        pool = sorted({*out, *range(len(dims), len(index_dims))})
        factors = []
        for _ in range(self.random.randint(1, 3)):
            own = tuple(choice(pool) for _ in range(choice([0, 1, 2, 2, 3]) if pool else 0))
            node, exponent = self.make(depth, tuple(index_dims[i] for i in own)), choice(ORDINARY)
            factors.append((self.positive(node) if exponent == -1 else node, exponent, own))
        number = Coefficient.of(choice([1, 1, -1, 2, Fraction(-1, 2)]))
        live = sorted({*out, *(i for _, _, own in factors for i in own)})
        place = {i: k for k, i in enumerate(live)}
        moved = [(node, e, tuple(place[i] for i in own)) for node, e, own in factors]
        output = [place[i] for i in out]
        return build.product(number, moved, output, [index_dims[i] for i in live])

    def positive(self, node: Node) -> Node:
        return build.plus(build.power(node, 2), 1)

    def sum(self, depth: int, dims: Dims) -> Node:
        return self.make(depth, dims) - self.make(depth, dims) * self.random.choice([1, 2, 0.5])

    def quotient(self, depth: int, dims: Dims) -> Node:
        return self.make(depth, dims) / self.positive(self.make(depth, dims))

    def entry(self, depth: int, dims: Dims) -> Node:
        made: Node = self.random.choice(TAME)(self.make(depth, dims))
        return made

    def power(self, depth: int, dims: Dims) -> Node:
        exponent = self.random.choice([Fraction(1, 2), Fraction(-1, 2), Fraction(3, 2), -2])
        return self.positive(self.make(depth, dims)) ** exponent

    def axis(self, depth: int, dims: Dims) -> Node:
        if dims and self.random.random() < 0.4:
            at = self.random.randrange(len(dims))
            word = self.random.choice(["softmax", "logsoftmax"])
            made: Node = BOOK[word](self.make(depth, dims), axis=at)
            return made
        if len(dims) > 2:
            return self.sum(depth, dims)
        at = self.random.randint(0, len(dims))
        wider = (*dims[:at], self.random.choice([N, M]), *dims[at:])
        along: Node = self.random.choice(ALONG)(self.make(depth, wider), axis=at)
        return along

    def reshape(self, depth: int, dims: Dims) -> Node:
        """Out to one long axis and back, something done there."""
        long = Dimension.of(1)
        for dim in dims:
            long = long * dim
        flat = build.reshape(self.make(depth, dims), (long,))
        return build.reshape(self.random.choice(TAME)(flat), dims)

    def cut(self, depth: int, dims: Dims) -> Node:
        if not dims:
            return self.make(depth, (N,))[self.random.choice([0, 1, -1])]
        at = self.random.randrange(len(dims))
        wider = (*dims[:at], dims[at] + 1, *dims[at + 1 :])
        key = [slice(None)] * len(dims)
        key[at] = self.random.choice([slice(0, -1), slice(1, None)])
        return self.make(depth, wider)[tuple(key)]

    def spread(self, depth: int, dims: Dims) -> Node:
        """NumPy's broadcasting, from the last axis."""
        return self.make(depth, dims) * self.make(depth, dims[1:]) + self.make(depth, ())

    def triangle(self, depth: int, dims: Dims) -> Node:
        if len(dims) < 2:
            return self.make(depth, dims)
        i, j = self.random.sample(range(len(dims)), 2)
        shift = Dimension.of(self.random.choice([0, 1, -1]))
        kind = self.random.choice([">=", "=="])
        mask = Pattern((dims[i], dims[j]), [Relation(((0, 1), (1, -1)), shift, kind)])
        axes = tuple(range(len(dims)))
        factors = [(self.make(depth, dims), 1, axes), (mask, 1, (i, j))]
        return build.product(ONE, factors, axes, dims)


def formula(seed: int, most: int = 3) -> Node:
    maker = Maker(seed)
    while True:
        made = maker.make(maker.random.choice([1, 2, 2, 3]), maker.dims(most))
        if made.names:
            return made


def plain(seed: int, most: int = 3) -> Node:
    return expand(formula(seed, most))


def by(f: Node, seed: int, most: int = 2) -> Variable | None:
    few = sorted((v for v in f.names if v.ndim <= most), key=lambda v: v.name)
    return random.Random(seed).choice(few) if few else None


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_formulas_built_in_python(start: int) -> None:
    for seed in range(start, start + 50):
        f = formula(seed)
        x = by(f, seed)
        if x is None:
            continue
        try:
            judge_answer(wrt.derivative(f, x), risky=True)
        except Exception as error:
            raise AssertionError(f"seed {seed}, by {x.name}: {error}\n{f}") from error


seeds = st.integers(0, 10**6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_derivatives_are_linear(seed: int) -> None:
    maker = Maker(seed)
    dims = maker.dims(2)
    f, g = expand(maker.make(2, dims)), expand(maker.make(2, dims))
    x = by(f * 1 + g, seed, 3)
    if x is not None:
        both = derivative(2 * f - g, x)
        assert equal(both, 2 * derivative(f, x) - derivative(g, x))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_gradients_are_the_derivatives(seed: int) -> None:
    f = plain(seed, 1)
    xs = sorted(f.names, key=lambda v: v.name)[:3]
    for x, one in zip(xs, gradients(f, xs), strict=True):
        assert equal(one, derivative(f, x))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_the_order_of_two_variables_is_that_of_the_axes(seed: int) -> None:
    f = plain(seed, 1)
    x, y = by(f, seed, 1), by(f, seed + 1, 1)
    if x is None or y is None:
        return
    one = derivative(derivative(f, x), y)
    other = derivative(derivative(f, y), x)
    lead = tuple(range(f.ndim))
    first = tuple(range(f.ndim, f.ndim + y.ndim))
    second = tuple(range(f.ndim + y.ndim, f.ndim + y.ndim + x.ndim))
    assert equal(one, build.transpose(other, (*lead, *second, *first)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seeds)
def test_forms_keep_the_value_and_settle(seed: int) -> None:
    f = expand(formula(seed))
    for form in (normal_form, flat_form):
        made = form(f)
        assert form(made) is made
        assert equal(made, f)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seeds)
def test_a_formula_is_itself_after_pickling(seed: int) -> None:
    f = formula(seed)
    assert pickle.loads(pickle.dumps(f)) is f
    assert copy.deepcopy(f) is f


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seeds)
def test_a_chain_is_the_product_of_its_links(seed: int) -> None:
    maker = Maker(seed)
    x = Variable("vn0", (N,))
    inner, u = expand(maker.make(2, (M,))), Variable("middle", (M,))
    outer = BOOK["tanh"](build.einsum("kj,j->k", Variable("vkm0", (K, M)), u))
    whole = derivative(substitute(outer, {u: inner}), x)
    link = substitute(derivative(outer, u), {u: inner})
    assert equal(whole, build.einsum("kj,jn->kn", link, derivative(inner, x)))


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("sum(r,0,k,X^r*t^r)", ("t ≠ 0",)),  # the first term of the derivative is 0*t^-1
        ("sum(r,1,k,t^r)", ()),
        ("sum(k,1,T,W^(T-k)*t^(T-k))", ("t ≠ 0",)),
        ("sum(k,1,T-1,t^(2*k+1))", ()),
        ("sum(k,1,n,t^(k/2))", ("t > 0",)),
        ("t^a", ("t > 0",)),
    ],
)
def test_a_power_that_counts_along_a_range_wants_no_positive_base(text, valid) -> None:
    D = wrt.derivative(text, "t")
    assert D.valid == valid
    assert D.check().passed


@pytest.mark.parametrize(
    ("text", "shape", "valid"),
    [
        ("log(det(X))", "n n", ("det(X) > 0",)),
        ("log(det(X))", "n n spd", ()),
        ("a'*inv(X)*b", "n n", ("X is invertible",)),
        ("a'*inv(X)*b", "n n orthogonal", ()),
        ("tr(sqrtm(X))", "n n spd", ()),
    ],
)
def test_what_is_declared_or_follows_is_no_condition(text, shape, valid) -> None:
    assert wrt.derivative(text, "X", shapes={"X": shape}).valid == valid


@pytest.mark.parametrize(
    ("text", "by", "valid"),
    [
        ("-sum(log(1-sigmoid(X*w)))", "w", ()),  # always above zero
        ("sum(log(2+tanh(x)))", "x", ()),
        ("sum(log(1+2*tanh(x)))", "x", ("2*tanh(x) + 1 > 0 in every entry",)),
        ("tr(W'*A*W)/tr(W'*B*W)", "W", ("tr(W*W'*B) ≠ 0",)),  # tr(W'*B*W) is that too
        ("x/sqrt(var(x)+e)", "x", ("var(x) + e > 0",)),
        ("x'*y/(norm2(x)*norm2(y))", "x", ("norm2(y) > 0", "norm2(x) > 0")),
        ("det(F)*inv(F')", "F", ("F is invertible",)),
        ("tr(X)/a + tr(X)/a^3", "X", ("a ≠ 0",)),
        ("norm2(Y-D*X)^2 + sum(abs(X))", "D", ()),  # a kink that D cannot reach
        ("norm2(Y-D*X)^2 + sum(abs(X))", "X", ("X ≠ 0 in every entry",)),
    ],
)
def test_conditions_are_said_once_and_only_where_they_matter(text, by, valid):
    D = wrt.derivative(text, by)
    assert set(D.valid) == set(valid)
