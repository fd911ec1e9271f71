"""Comparisons of two sides in one run: A B A B, medians, and the ratio between them."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
    """Two sides, and how their seconds should compare.

    Attributes:
        what: a line of the table.
        ours: the first side.
        theirs: the second.
        most: the greatest ratio of ours to theirs that is good enough, or `None`.
    """

    what: str
    ours: Side
    theirs: Side
    most: float | None = None


@dataclass(frozen=True)
class Result:
    """Medians of both sides, of the first run and of those after it."""

    pair: Pair
    ours: float
    theirs: float
    first_ours: float
    first_theirs: float

    @property
    def ratio(self):
        """Ours to theirs."""
        return self.ours / self.theirs


class Worker:
    """A process of one side."""

    def __init__(self, side):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if side.backend is not None:
            environment["KERAS_BACKEND"] = side.backend
        command = [sys.executable, "-m", "benchmarks.worker", side.path, json.dumps(side.arguments)]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.side, self.first = side, self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.side.name}: `{self.side.path}` ended without an answer")
        return json.loads(line)["seconds"]

    def run(self):
        """Seconds of one more run."""
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def compared(pair, rounds):
    """Both sides, in turn."""
    workers = [Worker(side) for side in (pair.ours, pair.theirs)]
    try:
        seconds = [[worker.run() for worker in workers] for _ in range(rounds)]
    finally:
        for worker in workers:
            worker.close()
    ours, theirs = (statistics.median(column) for column in zip(*seconds, strict=True))
    return Result(pair, ours, theirs, *(worker.first for worker in workers))


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
    found = ", ".join(version(package) for package in packages)
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs; {found}"
