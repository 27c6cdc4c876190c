"""Newton's method for logistic regression: its gradient and Hessian derived, its fit proved.

The breast cancer data of scikit-learn (pip install scikit-learn), standardised; the same
coefficients as scikit-learn's own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import wrt

LOSS = "sum(log(1 + exp(-y.*(X*w)))) + norm2(P*w)^2/2"


def fitted(X: np.ndarray, y: np.ndarray, penalty: float = 1.0, steps: int = 50) -> np.ndarray:
    """The coefficients, the last one without a penalty, for labels of -1 and 1."""
    given: dict[str, Any] = {"X": X, "y": y, "P": np.sqrt(penalty) * np.eye(X.shape[1])}
    given["P"][-1, -1] = 0
    newton = wrt.gradients(LOSS, "w", ("w", "w")).compile()
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        gradient, hessian = newton(w=w, **given)
        step = np.linalg.solve(hessian, gradient)
        w = w - step
        if np.abs(step).max() < 1e-12:
            break
    return w


def data() -> tuple[np.ndarray, np.ndarray]:
    """Standardised features with a column of ones, and labels of -1 and 1."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ModuleNotFoundError:
        sys.exit("the data come with scikit-learn: pip install scikit-learn")

    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.column_stack([X, np.ones(len(X))]), 2.0 * y - 1


def reference(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """scikit-learn's coefficients and intercept."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(X[:, :-1], y)
    return np.append(model.coef_[0], model.intercept_)


def main() -> float:
    """The largest difference between the two."""
    X, y = data()
    difference = float(np.abs(fitted(X, y) - reference(X, y)).max())
    print(f"Newton and scikit-learn differ by {difference:.1e} in {X.shape[1]} coefficients")
    return difference


if __name__ == "__main__":
    main()
