"""Comparisons of two sides in one run: A B A B, medians, and their ratio; and curves of one."""

import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")
ROOT = Path(__file__).parents[1]
_found = {}  # figures by what was measured
PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@dataclass(frozen=True)
class Side:
    """What is timed.

    Attributes:
        name: in the table.
        path: `module:function`, which makes what is timed.
        backend: of Keras, or `None`.
        packages: whose versions are named.
        arguments: of the function.
    """

    name: str
    path: str
    backend: str | None = None
    packages: tuple[str, ...] = ()
    arguments: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two sides, and how a figure of theirs should compare.

    Attributes:
        what: a line of the table.
        ours: the first side.
        theirs: the second.
        most: the greatest ratio of ours to theirs that is good enough, or `None`.
        figure: `"seconds"` of a run; `"first"`, seconds of the first run of a fresh process;
            `"megabytes"`, the peak of the process; `"value"`, the number a run returns; or the
            name of one of several.
        unit: in the table; seconds may be shown in `"ms"` or `"us"`.
        per: how many units of work a run does.
        rounds: runs of either side; default: as many as are asked for.
        together: whether one process holds both sides, of one backend: where a few hundredths
            matter, as processes of the same code differ by more.
    """

    what: str
    ours: Side
    theirs: Side
    most: float | None = None
    figure: str = "seconds"
    unit: str = "ms"
    per: int = 1
    rounds: int | None = None
    together: bool = False


@dataclass(frozen=True)
class Curve:
    """How the time of one side grows with a size.

    Attributes:
        what: a line of the table.
        side: its function takes `sizes` and gives one that returns the seconds for each.
        sizes: in ascending order.
        most: the greatest exponent that is good enough.
    """

    what: str
    side: Side
    sizes: tuple[int, ...]
    most: float = 1.05

    def row(self):
        """A line of the table, measured."""
        worker = Worker(replace(self.side, arguments={**self.side.arguments, "sizes": self.sizes}))
        worker.close()
        found = worker.first[0]["value"]
        slope = exponent(self.sizes, found)
        reached = "yes" if round(slope, 2) <= self.most else "no"
        ends = f"{_rounded(1e3 * found[0])} ms to {_rounded(1e3 * found[-1])} ms"
        sizes = f"{self.sizes[0]} to {self.sizes[-1]}"
        return f"| {self.what} | {sizes} | {ends} | {slope:.2f} | {self.most:g} | {reached} |"


def exponent(sizes, figures):
    """The slope through the upper half of the sizes, on logarithmic axes: 1 is linear."""
    upper = slice(len(sizes) // 2, None)
    x, y = ([math.log(number) for number in numbers[upper]] for numbers in (sizes, figures))
    return statistics.linear_regression(x, y).slope


@dataclass(frozen=True)
class Section:
    """What belongs together: a heading, what is measured, and the pairs or the curves."""

    title: str
    text: str
    pairs: tuple[Pair, ...] = ()
    curves: tuple[Curve, ...] = ()

    @property
    def packages(self):
        """The packages of all sides, each once."""
        pairs = [side for pair in self.pairs for side in (pair.ours, pair.theirs)]
        sides = [*pairs, *(curve.side for curve in self.curves)]
        return tuple({name: None for side in sides for name in side.packages})


@dataclass(frozen=True)
class Result:
    """Medians, of the figures of both sides and of their ratios: a machine has slow moments.

    Attributes:
        pair: what was measured.
        runs: the figure of ours and the one of theirs next to it, of each round.
    """

    pair: Pair
    runs: tuple[tuple[float, float], ...]

    @property
    def ratio(self):
        """Ours to theirs."""
        return statistics.median(ours / theirs for ours, theirs in self.runs)

    def shown(self, figure):
        """A figure in the unit of the table."""
        scale = {"ms": 1e3, "us": 1e6}.get(self.pair.unit, 1.0) / self.pair.per
        return f"{_rounded(scale * figure)} {self.pair.unit}".strip()

    def row(self):
        """A line of the table."""
        most = self.pair.most
        wanted = "" if most is None else f"{most:g}"
        verdict = "" if most is None else "yes" if round(self.ratio, 2) <= most else "no"
        medians = (statistics.median(figures) for figures in zip(*self.runs, strict=True))
        ours, theirs = map(self.shown, medians)
        cells = (self.pair.what, ours, f"{theirs} ({self.pair.theirs.name})", f"{self.ratio:.2f}")
        return f"| {' | '.join([*cells, wanted, verdict])} |"


def _rounded(number):
    """Three digits that count."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


# Without huge pages it is luck how a process's memory lies in the caches: of six processes with the
# same `torch.nn.LSTM` three took 8 ms a step and three 12 ms; of five with them all took 8.
PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


class Worker:
    """A process of one side, or of more of the same backend."""

    def __init__(self, *sides):
        environment = {**PAGES, **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if sides[0].backend is not None:
            environment["KERAS_BACKEND"] = sides[0].backend
        command = [sys.executable, "-m", "benchmarks.worker"]
        command += [part for side in sides for part in (side.path, json.dumps(side.arguments))]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.sides = sides
        self.first = [self._answer() for _ in sides]

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            paths = " or ".join(f"`{side.path}`" for side in self.sides)
            raise RuntimeError(f"{paths} ended without an answer")
        return json.loads(line)

    def run(self, number=0):
        """The figures of one more run of the side of that number."""
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return self._answer()

    def settle(self):
        """Some runs that do not count, of what is quick: the first ones ask for memory."""
        for number in range(len(self.sides)):
            for _ in range(5):
                if self.run(number)["seconds"] > 0.2:
                    break

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def compared(pair, rounds):
    """Both sides, in turn."""
    found = _measured(pair, pair.rounds or rounds)
    name = "seconds" if pair.figure == "first" else pair.figure
    return Result(pair, tuple((ours[name], theirs[name]) for ours, theirs in found))


def _measured(pair, rounds):
    """The figures of both sides; where pairs differ in the figure only they are measured once."""
    warm = _together if pair.together else _warm
    sides, way = (pair.ours, pair.theirs), _fresh if pair.figure == "first" else warm
    what = repr((way, sides, rounds))
    if what not in _found:
        _found[what] = way(sides, rounds)
    return _found[what]


def _fresh(sides, rounds):
    """Figures of first runs, each in a new process."""
    return [[_first(side) for side in sides] for _ in range(rounds)]


def _first(side):
    worker = Worker(side)
    worker.close()
    return worker.first[0]


def _warm(sides, rounds):
    """Figures of later runs of one process for each side."""
    workers = [Worker(side) for side in sides]
    try:
        for worker in workers:
            worker.settle()
        return [[worker.run() for worker in workers] for _ in range(rounds)]
    finally:
        for worker in workers:
            worker.close()


def _together(sides, rounds):
    """Figures of later runs of one process for both sides."""
    worker = Worker(*sides)
    try:
        worker.settle()
        return [[worker.run(number) for number in range(len(sides))] for _ in range(rounds)]
    finally:
        worker.close()


def version(package):
    """The name of a package with its version."""
    for name in PACKAGES.get(package, (package,)):
        try:
            return f"{package} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{package} (not installed)"


def machine(packages):
    """Where the numbers come from."""
    processor = f"{os.cpu_count()} CPUs ({_widest_vectors()})"
    python = f"Python {platform.python_version()}"
    return ", ".join([processor, python, *map(version, packages)])


def _widest_vectors():
    """What the kernels of PyTorch, oneDNN and XLA are chosen by."""
    information = Path("/proc/cpuinfo")
    flags = set(information.read_text().split()) if information.exists() else set()
    named = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
    return next((name for flag, name in named.items() if flag in flags), platform.machine())
