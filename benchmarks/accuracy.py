"""The largest relative error of every method of every family, in float64 and float32.

    python benchmarks/accuracy.py --backend torch

Each row of the table of families is compared with its twin (SciPy, or a distribution written for
the tests in NumPy) at quantiles from 1e-12 to 1 - 1e-12 and at extreme parameters (`grids.py`); its
CRPS with quadrature over the quantiles of the twin. The page `docs/accuracy.md` is what it prints.
It ends with 1 if an error is above its bound and `grids.py` names no reason.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy import special

ROOT = Path(__file__).resolve().parents[1]
METHODS = (
    "log_prob",
    "cdf",
    "survival_function",
    "quantile",
    "mean",
    "variance",
    "entropy",
    "crps",
)
TWINS = {
    "cdf": "cdf",
    "survival_function": "sf",
    "mean": "mean",
    "variance": "var",
    "entropy": "entropy",
}
DTYPES = ("float64", "float32")


def bound(method, dtype):
    """The largest relative error allowed; of float32 only log densities have one."""
    if dtype == "float32":
        return 2e-5 if method == "log_prob" else np.inf
    return 1e-10 if method == "log_prob" else 1e-8


def relative(actual, expected, floor=0.0):
    """Elementwise error relative to the larger of the expected value and a floor."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(actual - expected) / np.maximum(np.abs(expected), np.maximum(floor, 1e-300))
    return np.where(same, 0.0, np.nan_to_num(error, nan=np.inf))


class Row:
    """One row of the table of families, in one dtype, with extreme parameters added."""

    def __init__(self, case, extremes, dtype):
        from timedist.testing.compare import array

        self.case, self.dtype, self.array = case, dtype, array
        self.parameters = {
            name: np.concatenate([np.asarray(value, dtype), np.asarray(extremes[name], dtype)])
            if extremes
            else np.asarray(value, dtype)
            for name, value in case.parameters.items()
        }
        self.d = case.build(**self.parameters)
        self.twin = case.twin(**{n: v.astype("float64") for n, v in self.parameters.items()})
        self.shape = (*self.d.batch_shape, *self.d.event_shape)
        vectors = bool(self.d.event_shape) and hasattr(self.twin, "marginal")
        self.marginal = self.twin.marginal() if vectors else self.twin

    def along(self, p, rank=None):
        """Probabilities along a first axis, for the whole batch."""
        shape = self.shape if rank is None else self.shape[:rank]
        return np.broadcast_to(p.reshape(-1, *(1,) * len(shape)), (p.size, *shape))

    def values(self, lower, upper):
        """Quantiles of the twin in this dtype, far into both tails."""
        if hasattr(self.twin, "points"):
            return np.asarray(self.twin.points(), self.dtype)
        above = self.along(upper)
        high = (
            self.marginal.isf(above)
            if hasattr(self.marginal, "isf")
            else self.marginal.ppf(1.0 - above)
        )
        found = np.concatenate([self.marginal.ppf(self.along(lower)), high]).astype(self.dtype)
        rank = len(self.d.batch_shape)
        for i in range(self.shape[-1] if self.d.event_shape else 0):  # others for each component
            found[..., i] = np.roll(found[..., i], 2 * i, axis=0)
        return np.where(np.isfinite(found), found, 0.0).astype(self.dtype) if rank else found

    def error(self, method, x, p):
        """The largest error of a method, or `None` if the row or its twin lacks it."""
        if not self.case.has(method):
            return None
        if method == "quantile":
            return self.quantile_error(p) if hasattr(self.twin, "ppf") else None
        if method == "crps":
            return self.crps_error(x)
        if method in ("mean", "variance", "entropy"):
            return self.moment_error(method)
        names = ("logpmf", "logpdf") if method == "log_prob" else (TWINS[method],)
        function = next((getattr(self.twin, n) for n in names if hasattr(self.twin, n)), None)
        if function is None:
            return None
        floor = 1.0 if method == "log_prob" else 0.0
        expected = np.asarray(function(x.astype("float64")), "float64")
        error = relative(self.array(getattr(self.d, method)(x)), expected, floor)
        error = np.where(np.isnan(expected), 0.0, error)  # the reference has no answer there
        if method != "log_prob":  # each where it is small: the other one has the digits there
            error = np.where(expected > 0.6, 0.0, error)
        return error.max()

    def quantile_error(self, p):
        """Relative to the value or to the spread; for jumps, in the probability."""
        p = self.along(p, len(self.d.batch_shape)).astype(self.dtype)
        actual = self.array(self.d.quantile(p)).astype("float64")
        p = p.astype("float64")
        error = 16 * np.finfo(self.dtype).eps
        low, high = (self.twin.ppf(np.clip(q, 0.0, 1.0)) for q in (p * (1 - error), p + error))
        right = (low <= actual) & (actual <= high)
        if self.d.discrete:
            return float(np.max(~right))
        expected = self.twin.ppf(p)
        if hasattr(self.twin, "isf"):  # which has the digits of 1 - p
            expected = np.where(p > 0.5, self.twin.isf(1.0 - p), expected)
        quartiles = [self.twin.ppf(np.full_like(p, q)) for q in (0.25, 0.5, 0.75)]
        floor = np.abs(quartiles[2] - quartiles[0]) + np.abs(quartiles[1])
        found = relative(actual, expected, floor)
        # Beside a jump rounding of p moves the quantile far: that is no error.
        return np.where(right & self.case.mixed, 0.0, found).max()

    def moment_error(self, method):
        """A mean relative to a thousandth of the spread at least, an entropy to one."""
        if not hasattr(self.twin, TWINS[method]):
            return None
        counts = method == "entropy" and hasattr(getattr(self.twin, "dist", None), "pmf")
        reference = self.entropy_of_counts if counts else getattr(self.twin, TWINS[method])
        expected = np.asarray(reference(), "float64")
        actual = self.array(getattr(self.d, method)()).astype("float64")
        floor = 1.0 if method == "entropy" else 0.0
        if method == "mean" and hasattr(self.twin, "std"):
            floor = np.nan_to_num(1e-3 * np.asarray(self.twin.std()), nan=0.0, posinf=0.0)
        # What does not exist is infinite for one and NaN for the other.
        return np.where(np.isfinite(expected), relative(actual, expected, floor), 0.0).max()

    def crps_error(self, x):
        """Against the twin's own score, or quadrature of its quantile form."""
        from timedist.testing import oracles

        if self.case.mixed and not hasattr(self.marginal, "crps"):
            return None
        y = x.astype("float64")
        own = getattr(self.marginal, "crps", None)
        if own is None and oracles.is_discrete(self.marginal):
            own = self.crps_of_counts
        actual = self.array(self.d.crps(x)).astype("float64")
        expected = own(y) if own else oracles.crps(self.marginal, y, y.shape[1:])
        exists = np.isfinite(expected) & np.isfinite(actual)
        return np.where(exists, relative(actual, expected), 0.0).max()

    def entropy_of_counts(self):
        """The sum over all masses; SciPy's own leaves terms of long tails out."""
        k = self.counts(self.twin, 1e-30, np.zeros(self.shape), np.zeros(self.shape))
        return special.entr(self.twin.pmf(k)).sum(axis=0)

    def counts(self, twin, p, low, high):
        """Integers from the lower to the upper quantile, `low` and `high` included."""
        ends = twin.ppf(np.full(self.shape, p)), twin.ppf(np.full(self.shape, 1.0 - 1e-16))
        start = np.maximum(np.minimum(low, ends[0]) - 2.0, 0.0)
        length = int(np.max(np.maximum(high, ends[1] * 1.1) - start)) + 100
        return start + np.arange(float(length)).reshape(-1, *(1,) * len(self.shape))

    def crps_of_counts(self, y):
        """The sum of F^2 below and of (1 - F)^2 from the value on, by one table for all values."""
        k = self.counts(self.marginal, 1e-18, y.min(axis=0), y.max(axis=0))
        below, above = self.marginal.cdf(k) ** 2, self.marginal.sf(k) ** 2
        return np.stack([np.where(k < v, below, above).sum(axis=0) for v in y])


def measured(cases, extremes, lower, upper):
    """`{(row, dtype): {method: error or None}}` of all cases."""
    from timedist.ops.functional import dtype_scope

    found = {}
    p = np.concatenate([lower, 1.0 - upper])
    for case in cases:
        start = time.perf_counter()
        for dtype in DTYPES:
            with dtype_scope(dtype), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                row = Row(case, extremes.get(case.name), dtype)
                x = row.values(lower, upper)
                found[case.name, dtype] = {m: row.error(m, x, p) for m in METHODS}
        print(f"{case} {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return found


def faults(found, exceptions):
    """Errors above their bound: those with a reason, and those without."""
    explained, wrong = [], []
    for (row, dtype), errors in found.items():
        for method, error in errors.items():
            limit, reason = exceptions.get((row, method, dtype), (0.0, ""))
            if error is not None and error > bound(method, dtype):
                (explained if error <= limit else wrong).append((row, method, dtype, error, reason))
    return explained, wrong


def page(found, explained, title):
    """The tables and the exceptions as Markdown."""
    lines = [
        "# How exact the families are",
        "",
        "The largest relative error of every method against another library, at quantiles from",
        "1e-12 to 1 - 1e-12 and at extreme parameters. Logarithms and entropies are compared to",
        "one where they are smaller, quantiles to the spread, probabilities where they are below",
        "0.6. Quantiles of discrete families are right (0) or wrong (1). An empty cell: the family",
        "or the reference has no such method.",
        "",
        f"Written by `python benchmarks/accuracy.py` ({title}).",
    ]
    for dtype in DTYPES:
        lines += ["", f"## {dtype}", "", "| family | " + " | ".join(METHODS) + " |"]
        lines.append("|---" * (1 + len(METHODS)) + "|")
        for (row, kind), errors in found.items():
            if kind == dtype:
                cells = ("" if e is None else f"{e:.0e}" if e else "0" for e in errors.values())
                lines.append(f"| {row} | " + " | ".join(cells) + " |")
    lines += ["", "## Above the bound", ""]
    lines.append(
        "The bound is 1e-10 for log densities and 1e-8 for the rest in float64, and 2e-5 for log "
        "densities in float32."
    )
    lines += ["", "| family | method | dtype | error | reason |", "|---|---|---|---|---|"]
    lines += [f"| {r} | {m} | {d} | {e:.0e} | {why} |" for r, m, d, e, why in explained]
    return "\n".join(lines) + "\n"


def main():
    """Measure, write the page, and say what is above its bound without a reason."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("jax", "tensorflow", "torch"))
    parser.add_argument("--families", nargs="+", help="rows to measure; no page is written then")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "accuracy.md")
    options = parser.parse_args()
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    sys.path.insert(0, str(ROOT / "tests"))
    import keras
    import scipy
    from cases import CASES
    from grids import EXCEPTIONS, EXTREMES, LOWER, UPPER

    cases = [c for c in CASES if not options.families or c.name in options.families]
    found = measured(cases, EXTREMES, LOWER, UPPER)
    explained, wrong = faults(found, EXCEPTIONS)
    title = f"Keras {keras.__version__} on {keras.backend.backend()}, SciPy {scipy.__version__}"
    text = page(found, explained, title)
    if options.families:
        print(text)
    else:
        options.output.write_text(text)
    for row, method, dtype, error, _ in wrong:
        print(f"{row}.{method} {dtype}: {error:.1e} is above {bound(method, dtype):g}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
