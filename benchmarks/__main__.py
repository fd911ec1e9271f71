"""Every comparison, and the table of them in `docs/performance.md`.

python -m benchmarks --only torch --rounds 5
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks import deepar, training
from benchmarks.pairs import compared, machine

HEADER = """# How fast it is

`python -m benchmarks --page docs/performance.md` measures both sides of each line in turn, each in
a process of its own, and writes this page: medians of {rounds} rounds if not said otherwise.

{machine}
"""
TABLE = """
| what | TimeDist | the other | ratio | wanted | reached |
|---|---:|---:|---:|---:|---|
"""
MODULES = (training, deepar)


def measured(section, rounds):
    """The text of a section, its table printed as it grows."""
    print(f"\n## {section.title}", TABLE, sep="\n", end="", flush=True)
    rows = []
    for pair in section.pairs:
        rows.append(compared(pair, rounds).row())
        print(rows[-1], flush=True)
    return f"\n## {section.title}\n\n{section.text}\n{TABLE}" + "\n".join(rows) + "\n"


def chosen(only):
    """The sections, with those of their pairs whose names have `only` in them."""
    sections = [section for module in MODULES for section in module.sections()]
    for section in sections:
        pairs = tuple(p for p in section.pairs if only in f"{section.title}: {p.what}")
        if pairs:
            yield replace(section, pairs=pairs)


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="comparisons whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7, help="runs of either side")
    parser.add_argument("--page", type=Path, help="where to write the tables")
    options = parser.parse_args()
    sections = list(chosen(options.only))
    sides = [s for section in sections for p in section.pairs for s in (p.ours, p.theirs)]
    where = machine({name: None for side in sides for name in side.packages})
    print(where)
    parts = [measured(section, options.rounds) for section in sections]
    if options.page:
        header = HEADER.format(rounds=options.rounds, machine=where)
        options.page.write_text(header + "".join(parts))


if __name__ == "__main__":
    main()
