"""How far JAX, TensorFlow and PyTorch differ, on every method of every row of the family table.

    python benchmarks/agreement.py

Runs itself once on each backend, compares the float32 results of all methods at the same values,
and writes `docs/agreement.md`. Differences are relative to the larger of the value and a scale: one
for logarithms and entropies, the width between the quartiles for quantiles and means. Quantiles of
discrete families jump; those of two backends are compared by the probability between them. It ends
with 1 if a difference is above 1e-5.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
BACKENDS = ("jax", "tensorflow", "torch")
BOUND = 1e-5
IN_UNITS = ("quantile", "mean", "mode", "crps", "stddev")


def results_of_all_rows():
    """`{row/method: array}` on the backend of this process."""
    sys.path.insert(0, str(ROOT / "tests"))
    from cases import CASES

    from timedist.testing.compare import array
    from timedist.testing.values import evaluated

    found = {}
    for case in CASES:
        methods = dict(evaluated(case, "float32")[0])
        if case.has("kl_divergence"):
            moved = {n: np.roll(v, 1, axis=0) for n, v in case.arrays().items()}
            methods["kl_divergence"] = array(case.make().kl_divergence(case.build(**moved)))
        found |= {f"{case}/{method}": np.asarray(v) for method, v in methods.items()}
        found[f"{case}/scale"] = scale_of(methods)
        if case.make().discrete and "quantile" in methods:
            found[f"{case}/short"] = shortfalls(case, methods["quantile"])
        print(case, file=sys.stderr, flush=True)
    return found


def scale_of(methods):
    """A size in the unit of the data: the width of the middle half, else the largest mean."""
    if "quantile" in methods:
        return np.abs(methods["quantile"][5] - methods["quantile"][3]).astype("float64")
    return np.asarray(np.abs(methods.get("mean", np.zeros(1))).max(), "float64")


def shortfalls(case, quantiles):
    """By how much the distribution function at quantiles, and one below, falls short of p."""
    from timedist.testing.case import PROBABILITIES

    twin, p = case.reference("float32"), PROBABILITIES.astype("float32").astype("float64")
    p = p.reshape(-1, *(1,) * (quantiles.ndim - 1))
    below = np.nextafter(quantiles.astype("float64"), -np.inf)
    return np.stack([p - twin.cdf(quantiles.astype("float64")), twin.cdf(below) - p]) / p


def difference(name, one, two, scale):
    """The largest relative difference of two arrays; infinite where only one is finite."""
    one, two = one.astype("float64"), two.astype("float64")
    method = name.split("/")[1].removesuffix(" beyond")
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    size = np.maximum(np.abs(one), np.abs(two))
    if method.startswith("log") or method in ("entropy", "kl_divergence"):
        size = np.maximum(size, 1.0)
    elif method in IN_UNITS:
        size = np.maximum(size, scale)
    with np.errstate(invalid="ignore"):
        error = np.abs(one - two) / np.maximum(size, 1e-30)
    return float(np.max(np.where(same, 0.0, np.nan_to_num(error, nan=np.inf)), initial=0.0))


def compared(by_backend):
    """`{(row, method): worst difference of any two backends}`."""
    worst = {}
    first = by_backend[BACKENDS[0]]
    for name in first:
        row, method = name.split("/")
        if method in ("scale", "short"):
            continue
        scale = first[f"{row}/scale"]
        pairs = list(combinations((by_backend[b][name] for b in BACKENDS), 2))
        key = (row, method.removesuffix(" beyond"))
        if method == "quantile" and f"{row}/short" in first:
            # Where backends differ, each must be right to within rounding of p.
            differ = np.any([one != two for one, two in pairs], axis=0)
            short = [by_backend[b][f"{row}/short"].max(axis=0)[differ] for b in BACKENDS]
            found = float(np.max(short, initial=0.0))
        else:
            found = max(difference(name, one, two, scale) for one, two in pairs)
        worst[key] = max(found, worst.get(key, 0.0))
    return worst


def page(worst):
    """The table as Markdown: a line for each row, the worst method, and all above the bound."""
    lines = [
        "# How far the backends differ",
        "",
        "The largest relative difference between any two of JAX, TensorFlow and PyTorch in",
        "float32, over all values of the table of families, from one tail to the other. Written by",
        "`python benchmarks/agreement.py`. Where quantiles of a discrete family differ, it is",
        "by how much each misses the probability asked for.",
        "",
        "| family | worst | method | above 1e-5 |",
        "|---|---|---|---|",
    ]
    for row in dict.fromkeys(row for row, _ in worst):
        methods = {m: v for (r, m), v in worst.items() if r == row}
        top = max(methods, key=methods.get)
        above = ", ".join(f"{m} {v:.0e}" for m, v in methods.items() if v > BOUND)
        lines.append(f"| {row} | {methods[top]:.0e} | {top} | {above} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="write the results of one backend")
    parser.add_argument("--output", help="file of these results (.npz)")
    arguments = parser.parse_args()
    if arguments.backend:
        np.savez(arguments.output, **results_of_all_rows())
        return 0
    by_backend = {}
    with tempfile.TemporaryDirectory() as folder:
        for backend in BACKENDS:
            output = str(Path(folder) / f"{backend}.npz")
            command = [sys.executable, __file__, "--backend", backend, "--output", output]
            subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": backend})
            by_backend[backend] = dict(np.load(output))
    worst = compared(by_backend)
    (ROOT / "docs" / "agreement.md").write_text(page(worst))
    bad = {key: value for key, value in worst.items() if value > BOUND}
    for (row, method), value in bad.items():
        print(f"{row}.{method}: {value:.1e}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
