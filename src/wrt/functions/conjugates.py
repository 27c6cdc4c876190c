"""Complex numbers: the conjugate and the parts.

Where a formula is differentiated, `conj` stands at variables only, and `x` and `conj(x)` are two
variables (Wirtinger): so `conj` has no rule, and the other words are their definitions.
"""

from __future__ import annotations

from wrt.expression.function import Function

__all__ = ["RECORDS"]

_IMAG_TORCH = """\
def imag(x):
    return x.imag if x.is_complex() else torch.zeros_like(x)"""

RECORDS: tuple[Function, ...] = (
    Function(
        "conj(x) -> y",
        "The complex conjugate of every entry.",
        latex=r"\overline{{x}}",
        definition="x",
        array="conj",
        keeps="symmetric skew diagonal lower upper toeplitz",
        analytic=False,
        complex_definition="conj(x)",
        note="X^H is the conjugate transpose. The derivative by X holds conj(X) fixed.",
        examples=("conj(x)'*A*x",),
    ),
    Function(
        "real(x) -> y",
        "The real part of every entry.",
        latex=r"\operatorname{Re}({x})",
        definition="x",
        complex_definition="(x+conj(x))/2",
        array="real",
        keeps="symmetric skew diagonal lower upper toeplitz",
        analytic=False,
        examples=("real(x^H*y)",),
    ),
    Function(
        "imag(x) -> y",
        "The imaginary part of every entry, a real number.",
        latex=r"\operatorname{Im}({x})",
        definition="0*x",
        complex_definition="(x-conj(x))/2i",
        array={"numpy": "imag", "torch": _IMAG_TORCH},
        keeps="symmetric skew diagonal lower upper toeplitz",
        analytic=False,
        examples=("imag(x^H*y)",),
    ),
)
