"""Every comparison, and the table of them in `docs/performance.md`.

python -m benchmarks --only torch --rounds 5
"""

import argparse
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

from benchmarks import (
    deepar,
    feeding,
    generation,
    methods,
    scaling,
    scores,
    startup,
    time_distributed,
    training,
)
from benchmarks.pairs import compared, machine

HEADER = """# How fast it is

`make benchmark` measures both sides of each line in turn, each in a process of its own where
nothing else is said, and writes this page;
`python -m benchmarks --only NAME --page docs/performance.md` renews some of its tables.
Medians, and the median of the ratios of runs next to each other. Under each heading stands where
and when it was measured.
"""
TABLE = """
| what | TimeDist | the other | ratio | wanted | reached |
|---|---:|---:|---:|---:|---|
"""
CURVES = """
| what | sizes | time | exponent | wanted | reached |
|---|---|---|---:|---:|---|
"""
MODULES = (
    training,
    time_distributed,
    deepar,
    scores,
    methods,
    startup,
    feeding,
    scaling,
    generation,
)


def measured(section, rounds):
    """The text of a section, its tables printed as they grow."""
    where = machine(section.packages)
    print(f"\n## {section.title}\n\n{where}")
    text = f"\n## {section.title}\n\n{section.text}\n\n{where}, {date.today()}.\n"
    if section.pairs:
        text += table(TABLE, (compared(pair, rounds).row() for pair in section.pairs))
    if section.curves:
        text += table(CURVES, (curve.row() for curve in section.curves))
    return text


def renewed(page, title, text):
    """The page with a section in the place of the one of that title, or at its end."""
    head, *sections = re.split(r"\n(?=## )", page)
    texts = {section.partition("\n")[0]: section for section in sections}
    texts[f"## {title}"] = text.strip("\n")
    return "\n".join([head, *(f"{each.rstrip()}\n" for each in texts.values())])


def table(head, rows):
    """A table, each row printed when it is there."""
    print(head, end="", flush=True)
    for row in rows:
        print(row, flush=True)
        head += f"{row}\n"
    return head


def chosen(only, whole):
    """The sections with `only` in their names or in those of their lines; those lines, or all."""
    for section in (section for module in MODULES for section in module.sections()):
        pairs, curves = (
            tuple(each for each in lines if only in f"{section.title}: {each.what}")
            for lines in (section.pairs, section.curves)
        )
        if pairs or curves:
            yield section if whole else replace(section, pairs=pairs, curves=curves)


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="comparisons whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7, help="runs of either side")
    parser.add_argument("--page", type=Path, help="where to write, or renew, the tables")
    options = parser.parse_args()
    page = options.page.read_text() if options.page and options.page.exists() else HEADER
    for section in chosen(options.only, whole=options.page is not None):
        page = renewed(page, section.title, measured(section, options.rounds))
        if options.page:
            options.page.write_text(page)


if __name__ == "__main__":
    main()
