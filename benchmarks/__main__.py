"""Every comparison, and the table of them in `docs/performance.md`.

python -m benchmarks --only torch --rounds 5
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    deepar,
    feeding,
    generation,
    scaling,
    scores,
    startup,
    time_distributed,
    training,
)
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
CURVES = """
| what | sizes | time | exponent | wanted | reached |
|---|---|---|---:|---:|---|
"""
MODULES = (training, time_distributed, deepar, scores, startup, feeding, scaling, generation)


def measured(section, rounds):
    """The text of a section, its tables printed as they grow."""
    text = f"\n## {section.title}\n\n{section.text}\n"
    print(f"\n## {section.title}")
    if section.pairs:
        text += table(TABLE, (compared(pair, rounds).row() for pair in section.pairs))
    if section.curves:
        text += table(CURVES, (curve.row() for curve in section.curves))
    return text


def table(head, rows):
    """A table, each row printed when it is there."""
    print(head, end="", flush=True)
    for row in rows:
        print(row, flush=True)
        head += f"{row}\n"
    return head


def chosen(only):
    """The sections, with what of them has `only` in its name."""
    sections = [section for module in MODULES for section in module.sections()]
    for section in sections:
        pairs, curves = (
            tuple(each for each in row if only in f"{section.title}: {each.what}")
            for row in (section.pairs, section.curves)
        )
        if pairs or curves:
            yield replace(section, pairs=pairs, curves=curves)


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="comparisons whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7, help="runs of either side")
    parser.add_argument("--page", type=Path, help="where to write the tables")
    options = parser.parse_args()
    sections = list(chosen(options.only))
    sides = [side for section in sections for side in section.sides]
    where = machine({name: None for side in sides for name in side.packages})
    print(where)
    parts = [measured(section, options.rounds) for section in sections]
    if options.page:
        header = HEADER.format(rounds=options.rounds, machine=where)
        options.page.write_text(header + "".join(parts))


if __name__ == "__main__":
    main()
