"""One side of a comparison, in a process of its own that runs when it is told to; or both.

    python -m benchmarks.worker benchmarks.training:ours '{"head": "normal"}'

The function named gives one of no arguments, which is what is timed; a number it returns, a list or
a dictionary of such, are figures too. Each line on the standard input, the number of a side, makes
that one run once; the figures are written to the standard output.
"""

import importlib
import json
import resource
import sys
import time
from itertools import chain


def peak():
    """The most memory this process has used, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def is_numbers(value):
    """Whether it is a list of floats; what else a run returns is its own affair."""
    return isinstance(value, list) and all(isinstance(x, float) for x in value)


def made(path, arguments):
    """What is timed, from the path of its function and the arguments as JSON."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)(**json.loads(arguments))


def main():
    """Make what is timed, run each once, as the first run compiles, then whenever asked."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    runs = list(map(made, sys.argv[1::2], sys.argv[2::2]))
    for number in chain(range(len(runs)), sys.stdin):
        start = time.perf_counter()
        value = runs[int(number)]()
        figures = {"seconds": time.perf_counter() - start, "megabytes": peak()}
        if isinstance(value, dict):
            figures |= value
        elif isinstance(value, float) or is_numbers(value):
            figures["value"] = value
        print(json.dumps(figures), file=answers, flush=True)


if __name__ == "__main__":
    main()
