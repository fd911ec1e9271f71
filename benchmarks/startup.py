"""How long it takes until Python has imported the package, and until the command answers."""

from benchmarks.pairs import BACKENDS, Pair, Section, Side

BUDGET = 0.5


def python(*arguments):
    """A function that runs a fresh interpreter to its end."""
    import os
    import subprocess
    import sys

    # An installed package has its bytecode, so the sources measured here are to keep theirs.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)

    def run():
        subprocess.run(
            [sys.executable, *arguments], check=True, capture_output=True, env=environment
        )

    return run


def imported(module):
    """A fresh interpreter that imports a module."""
    return python("-c", f"import {module}")


def command():
    """A fresh interpreter that runs `timedist --help`."""
    return python("-m", "timedist_cli", "--help")


def budget():
    """A fixed time."""
    import time

    return lambda: time.sleep(BUDGET)


def sections():
    """Imports on each backend, and the command."""
    text = (
        "Fresh interpreters, from start to end. `import timedist` imports Keras and its backend; "
        f"the command is to answer within {BUDGET} seconds."
    )
    yield Section("Startup", text, tuple(_pairs()))


def _pairs():
    for backend in BACKENDS:
        ours, keras = (
            _side(f"import {name}", "imported", backend, "keras", backend, module=name)
            for name in ("timedist", "keras")
        )
        yield Pair(f"import, {backend}", ours, keras, 1.1, unit="s")
    answer, most = _side("timedist --help", "command"), _side("what it may take", "budget")
    yield Pair("`timedist --help`", answer, most, 1.0, unit="s")


def _side(name, function, backend=None, *packages, **arguments):
    return Side(name, f"benchmarks.startup:{function}", backend, packages, arguments)
