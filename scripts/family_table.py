"""Print the page of all families, from their parameter tables and docstrings.

Usage::

    python scripts/family_table.py > docs/families.md
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict

from timedist import distributions as td
from timedist.distributions import fields

SECTIONS = {
    "Real numbers": ("continuous", "power_tails", "skewed"),
    "Angles": ("circular",),
    "Positive numbers": ("positive", "gamma", "pareto"),
    "Numbers in an interval": ("bounded", "truncated_normal"),
    "Counts": ("counts", "binomial"),
    "Categories": ("discrete",),
    "Vectors": ("multivariate", "dirichlet", "gaussian_processes"),
    "Samples, histograms, quantiles": ("empirical", "binned", "quantile_grid"),
}
# Their parts may be distributions, but what they are is a process.
SEQUENCES = "Whole sequences"
SECTIONS[SEQUENCES] = ("random_walks", "state_space", "hidden_markov")
WRAPPERS = "Made of other distributions"
OPENING = """# Families

Written by `python scripts/family_table.py` from the families themselves. A parameter in brackets
has a default. Vectors and matrices are the last one or two axes of a parameter; all axes in front
are batch axes and broadcast. Every family has `sample`, `log_prob`, `cdf`, `survival_function`,
`quantile`, `interval`, `mean`, `median`, `mode`, `variance`, `stddev`, `entropy`, `crps` and
`kl_divergence`, but for what stands under "without". How exact they are:
[accuracy](accuracy.md)."""


def families() -> list[type]:
    """The families that are exported, parents left out."""
    found = [getattr(td, name) for name in td.__all__]
    return [
        cls
        for cls in found
        if inspect.isclass(cls)
        and issubclass(cls, td.Distribution)
        and cls is not td.Distribution
        and not cls.__doc__.startswith("Parent")
    ]


def section(cls: type) -> str:
    """The heading a family stands under."""
    module = cls.__module__.rpartition(".")[2]
    if module in SECTIONS[SEQUENCES]:
        return SEQUENCES
    if any(isinstance(row, fields.Component) for row in cls.table):
        return WRAPPERS
    return next(title for title, modules in SECTIONS.items() if module in modules)


def formula(cls: type) -> str:
    """The first formula of the docstring, fit for a cell."""
    found = re.search(r"\$[^$]+\$", cls.__doc__.split("Args:")[0].partition("\n")[2])
    if found is None:
        return ""
    # A bar would end the cell.
    text = " ".join(found.group().split())
    return text.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


def described(row: fields.Field) -> str:
    """A parameter with what it may be."""
    if isinstance(row, fields.Component):
        kind = {"transform": "a transform", "transforms": "flows"}.get(row.name)
        return f"`{row.name}` {kind or ('distributions' if row.many else 'a distribution')}"
    if isinstance(row, fields.Shared):
        return f"`{row.name}` tensors that the batch shares"
    if isinstance(row, fields.Static):
        name = f"`{row.name}` plain"
        return name if row.default is fields.REQUIRED else f"[{name}, {row.default}]"
    kind = ("", "vector, ", "matrix, ", "matrices, ")[row.event_rank]
    name = f"`{row.name}` {kind}{row.constraint.name}"
    if row.instead_of is not None or row.default in (fields.REQUIRED, None):
        return name
    return f"[{name}, {row.default:g}]"


def parameters(cls: type) -> str:
    """All parameters; of two that say the same, the second after an "or"."""
    cells: list[str] = []
    pairs: set[str] = set()
    for row in cls.table:
        joined = getattr(row, "instead_of", None) in pairs
        cells.append(f"{cells.pop()} or {described(row)}" if joined else described(row))
        pairs.add(row.name)
    return "; ".join(cells)


def without(cls: type) -> str:
    """The methods that have no meaning for a family."""
    public = {"survival": "survival_function", "log_survival": "log_survival_function"}
    public["kl"] = "kl_divergence"
    return ", ".join(f"`{public.get(name, name)}`" for name in cls.absent)


def page() -> str:
    """The page as Markdown."""
    rows = defaultdict(list)
    for cls in families():
        about = cls.__doc__.split("\n")[0]
        cells = (f"`{cls.__name__}`", about, formula(cls), parameters(cls), without(cls))
        rows[section(cls)].append("| " + " | ".join(cells) + " |")
    lines = [OPENING]
    for title in (*SECTIONS, WRAPPERS):
        head = ["| family | what it is | formula | parameters | without |", "|---|---|---|---|---|"]
        lines += ["", f"## {title}", "", *head, *rows[title]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
