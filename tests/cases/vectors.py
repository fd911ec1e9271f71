"""Rows of the families of vectors."""

from typing import Any

import numpy as np
from keras import ops
from twins.vectors import Dirichlets, Normals, StudentTs

from cases.common import array, diagonal, floats, powers, shares, trils
from timedist import distributions as td
from timedist.testing import Case

_SCALAR_ONLY = frozenset(
    {
        *("cdf", "log_cdf", "survival_function", "log_survival_function"),
        *("quantile", "median", "crps"),
    }
)
_LOC = array([0.0, 1.0, -2.0], [100.0, -0.5, 3.0])
_SCALE = array([1.0, 0.5, 2.0], [10.0, 0.1, 1.0])
_TRIL = array(
    [[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.7]],
    [[5.0, 0.0, 0.0], [0.2, 0.1, 0.0], [3.0, -1.0, 2.0]],
)
_LOADINGS = array(
    [[0.5, 0.0], [1.0, -1.0], [0.3, 2.0]],
    [[3.0, 1.0], [0.1, 0.2], [-1.0, 0.5]],
)
# So far out that a float32 still holds the square of a standardised value.
_VALUES = floats(-1e6, 1e6)


def _product(root: np.ndarray) -> np.ndarray:
    return root @ root.swapaxes(-1, -2)


def _lower(function: Any) -> Any:
    """The family with the upper triangle cut off, so that differences may step into it."""

    def build(*, scale_tril: Any, **more: Any) -> td.Distribution:
        return function(scale_tril=ops.tril(ops.convert_to_tensor(scale_tril)), **more)

    return build


CASES = (
    Case(
        "MultivariateNormalDiag",
        td.MultivariateNormalDiag,
        {"loc": _LOC, "scale_diag": _SCALE},
        lambda loc, scale_diag: Normals(loc, diagonal(scale_diag**2)),
        wide={"loc": _VALUES, "scale_diag": powers(-6, 6)},
        values=_VALUES,
        invalid=(
            (
                {"loc": [0.0, 1.0], "scale_diag": [1.0, -2.0]},
                ("MultivariateNormalDiag", "scale_diag", "positive", "-2"),
            ),
            (
                {"loc": [0.0, 1.0], "scale_diag": [1.0, 1.0, 1.0]},
                ("scale_diag", "(3,)", "2 components"),
            ),
            ({"loc": 0.0, "scale_diag": [1.0]}, ("loc", "at least 1 axes", "()")),
        ),
        missing=_SCALAR_ONLY,
        sampled=("loc", "scale_diag"),
    ),
    Case(
        "MultivariateNormalTriL",
        _lower(td.MultivariateNormalTriL),
        {"loc": _LOC, "scale_tril": _TRIL},
        lambda loc, scale_tril: Normals(loc, _product(np.tril(scale_tril))),
        wide={"loc": _VALUES, "scale_tril": trils},
        values=_VALUES,
        missing=_SCALAR_ONLY,
        sampled=("loc", "scale_tril"),
    ),
    Case(
        "MultivariateNormalDiagPlusLowRankCovariance",
        td.MultivariateNormalDiagPlusLowRankCovariance,
        {"loc": _LOC, "cov_diag_factor": _SCALE, "cov_perturb_factor": _LOADINGS},
        lambda loc, cov_diag_factor, cov_perturb_factor: Normals(
            loc, diagonal(cov_diag_factor) + _product(cov_perturb_factor)
        ),
        wide={
            "loc": _VALUES,
            "cov_diag_factor": powers(-6, 6),
            "cov_perturb_factor": floats(-1e6, 1e6),
        },
        values=_VALUES,
        invalid=(
            (
                {"loc": [0.0], "cov_diag_factor": [0.0], "cov_perturb_factor": [[1.0]]},
                ("cov_diag_factor", "positive", "0"),
            ),
            (
                {"loc": [0.0], "cov_diag_factor": [1.0], "cov_perturb_factor": [[1.0], [2.0]]},
                ("cov_perturb_factor", "(2, 1)", "1 components"),
            ),
        ),
        missing=_SCALAR_ONLY,
        sampled=("loc", "cov_diag_factor", "cov_perturb_factor"),
    ),
    Case(
        "MultivariateStudentTTriL",
        _lower(td.MultivariateStudentTTriL),
        {"df": array(2.5, 30.0), "loc": _LOC, "scale_tril": _TRIL},
        lambda df, loc, scale_tril: StudentTs(df, loc, _product(np.tril(scale_tril))),
        wide={"df": powers(-2, 6), "loc": _VALUES, "scale_tril": trils},
        values=_VALUES,
        missing=_SCALAR_ONLY | {"kl_divergence"},
        sampled=("df", "loc", "scale_tril"),
    ),
    Case(
        "Dirichlet",
        td.Dirichlet,
        {"concentration": array([2.0, 3.0, 5.0], [1.5, 40.0, 8.0])},
        Dirichlets,
        wide={"concentration": powers(-6, 6)},
        values=shares,
        outside=(-1.0, 0.5, 2.0),
        invalid=(({"concentration": [1.0, 0.0]}, ("Dirichlet", "concentration", "positive", "0")),),
        missing=_SCALAR_ONLY,
        sampled=("concentration",),
    ),
)
