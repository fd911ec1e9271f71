"""Every comparison, and the table of them in `docs/performance.md`.

python -m benchmarks --only torch --rounds 5
"""

import argparse
from pathlib import Path

from benchmarks import training
from benchmarks.pairs import compared, machine

HEADER = """# How fast it is

`python -m benchmarks --page docs/performance.md` measures both sides of each line in turn, each in
a process of its own, and writes this page. The times are for one training step of a network with
{inputs} inputs, an LSTM of {units} and {outputs} outputs at {steps} steps, for {batch} sequences:
medians of {rounds} rounds of {batches} steps.

{machine}

| what | TimeDist | the other | ratio | wanted |
|---|---:|---:|---:|---:|
"""


def row(result):
    """A line of the table."""
    ours, theirs = (1000 * t / training.BATCHES for t in (result.ours, result.theirs))
    wanted = "" if result.pair.most is None else f"{result.pair.most:g}"
    other = f"{theirs:.1f} ms ({result.pair.theirs.name})"
    return f"| {result.pair.what} | {ours:.1f} ms | {other} | {result.ratio:.2f} | {wanted} |"


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="comparisons whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7, help="runs of either side")
    parser.add_argument("--page", type=Path, help="where to write the table")
    options = parser.parse_args()
    pairs = [pair for pair in training.pairs() if options.only in pair.what]
    packages = {
        name: None for pair in pairs for s in (pair.ours, pair.theirs) for name in s.packages
    }
    where, lines = machine(packages), []
    print(where)
    for pair in pairs:
        lines.append(row(compared(pair, options.rounds)))
        print(lines[-1], flush=True)
    if options.page:
        sizes = ("inputs", "units", "outputs", "steps", "batch", "batches")
        net = {name: getattr(training, name.upper()) for name in sizes}
        header = HEADER.format(rounds=options.rounds, machine=where, **net)
        options.page.write_text(header + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
