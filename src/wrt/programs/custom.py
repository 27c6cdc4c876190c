"""Programs that bring their own backward pass: a formula with its derived pullback.

For PyTorch a `torch.autograd.Function`, for JAX a `jax.custom_vjp`. Where a gradient was not asked
for, the program says so (PyTorch raises, JAX gives NaN) and never says zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from wrt.errors import ValueMistake
from wrt.expression.nodes import Node, Variable
from wrt.programs.backends import find
from wrt.programs.module import Module, module
from wrt.programs.names import identifier

__all__ = ["custom_source"]

TORCH = '''\
class {Name}(torch.autograd.Function):
    """{doc}"""

    generate_vmap_rule = True

    @staticmethod
    def forward({parameters}):
        return {value}({parameters}){own}

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, {g}):
{refusals}        {targets} = pullback({g}, *ctx.saved_tensors)
        return {results}


def {name}({parameters}):
    """{doc}"""
    return {Name}.apply({parameters})'''
TORCH_REFUSAL = """\
if ctx.needs_input_grad[{place}]:
    raise RuntimeError("the gradient by {word} was not derived")
"""
JAX = '''\
@jax.custom_vjp
def {name}({parameters}):
    """{doc}"""
    return {value}({parameters})


def forward({parameters}):
    return {value}({parameters}), {saved}


def backward(saved, {g}):
    {targets} = pullback({g}, *saved)
    return {results}


{name}.defvjp(forward, backward)'''


def custom_source(
    value: Node,
    pulled: Sequence[tuple[Variable, Node]],
    gradient: Variable,
    backend: str,
    arguments: Sequence[Variable],
    title: str,
) -> str:
    """The text of a module with a function whose backward pass is `pulled`, a formula of
    `gradient` for each variable.
    """
    library = find(backend)
    if library.name == "numpy":
        raise ValueMistake("a backward pass of one's own is for jax and torch; numpy has none")
    if any("complex" in v.properties for v in arguments):
        raise ValueMistake("a backward pass of one's own is written for real variables only")
    given = tuple(arguments)
    taken = {identifier(v.name) for v in given}
    forward = module(value, backend, _apart("value", taken), given, None, ())
    formulas = tuple(node for _, node in pulled)
    root = formulas if len(formulas) > 1 else formulas[0]
    backward = module(root, backend, "pullback", (gradient, *given), None, ())
    _complete(forward, backward)
    words = [forward.arguments[v] for v in given]
    wanted = {v: f"g_{forward.arguments[v]}" for v, _ in pulled}
    missing = {v: k for k, v in enumerate(given) if v not in wanted}
    text = (TORCH if library.name == "torch" else JAX).format(
        name="function",
        Name=_apart("Function", taken),
        value=forward.name,
        own=_own(forward),
        doc=f"{title}, with the derived gradients by {', '.join(v.name for v in wanted)}.",
        parameters=", ".join(words),
        saved=_tuple(words),
        g=backward.arguments[gradient],
        refusals=indent(
            "".join(
                TORCH_REFUSAL.format(place=k, word=forward.arguments[v]) for v, k in missing.items()
            ),
            " " * 8,
        ),
        targets=", ".join(wanted.values()),
        results=_results(given, wanted, library.name),
    )
    return _joined([forward.text, backward.text], text, library.name)


def _own(forward: Module) -> str:
    """A copy where the value is a parameter itself: PyTorch saves none that it gives back."""
    (result,) = forward.plan.results
    return ".clone()" if forward.plan.steps[result].op == "load" else ""


def _apart(name: str, taken: set[str]) -> str:
    """A name that no parameter has, by underscores behind it."""
    while name in taken:
        name += "_"
    return name


def _results(given: Sequence[Variable], wanted: dict[Variable, str], library: str) -> str:
    """The gradients by all parameters; a not-a-number where JAX has nothing else to say."""
    said = [
        wanted.get(v, "None" if library == "torch" else f"jnp.full_like(saved[{k}], jnp.nan)")
        for k, v in enumerate(given)
    ]
    return ", ".join(said) if library == "torch" else _tuple(said)


def _tuple(items: Sequence[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _complete(*modules: Module) -> None:
    for made in modules:
        if made.sizes or made.functions:
            names = [*made.sizes, *(f.name for f in made.functions)]
            raise ValueMistake(
                f"a backward pass of one's own wants every size told by an array and every "
                f"function known; {', '.join(names)} is not"
            )


def _joined(texts: Sequence[str], last: str, library: str) -> str:
    """Modules as one: their imports, every definition once, and the last part."""
    imports: set[str] = {"import jax"} if library == "jax" else set()
    parts: dict[str, None] = {}
    for text in texts:
        head, *rest = text.rstrip("\n").split("\n\n\n")
        imports.update(head.split("\n"))
        parts.update(dict.fromkeys(rest))
    return "\n\n\n".join(["\n".join(sorted(imports)), *parts, last]) + "\n"
