"""Time to the first training step of `TimeDistributed(Dense)`: ours and Keras's, 10 and 500 steps.

    KERAS_BACKEND=jax python benchmarks/time_distributed.py --repeats 3

Each measure builds, compiles and takes one step in a fresh process; imports are not counted.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time

LENGTHS = (10, 500)
PACKAGES = {
    "jax": ("jax",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
}


def first_step(wrapper: str, length: int) -> float:
    """Seconds to build, compile and take the first step."""
    import keras
    import numpy as np

    from timedist.layers import TimeDistributed

    wrap = {"timedist": TimeDistributed, "keras": keras.layers.TimeDistributed}[wrapper]
    x = np.zeros((32, length, 16), "float32")
    y = np.zeros((32, length, 8), "float32")
    keras.ops.convert_to_numpy(keras.ops.ones((2, 2)) @ keras.ops.ones((2, 2)))  # start the backend
    start = time.perf_counter()
    model = keras.Sequential([keras.Input((length, 16)), wrap(keras.layers.Dense(8))])
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    return time.perf_counter() - start


def measure(wrapper: str, length: int, repeats: int) -> float:
    """The median over fresh processes."""
    command = [sys.executable, __file__, "--measure", wrapper, str(length)]
    seconds = []
    for _ in range(repeats):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(float(done.stdout.split()[-1]))
    return statistics.median(seconds)


def versions(backend: str) -> str:
    """Names and versions of what is measured."""
    found = [f"python {platform.python_version()}"]
    for name in ("timedist", "keras", *PACKAGES[backend]):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes for each measure")
    parser.add_argument(
        "--wrappers", nargs="+", default=["timedist", "keras"], choices=["timedist", "keras"]
    )
    parser.add_argument("--measure", nargs=2, metavar=("WRAPPER", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        wrapper, length = options.measure
        print(first_step(wrapper, int(length)))
        return
    backend = os.environ.setdefault("KERAS_BACKEND", "jax")
    print(f"{backend}: {versions(backend)}; {os.cpu_count()} CPUs; median of {options.repeats}")
    print(
        f"{'seconds to the first step':<28}"
        + "".join(f"{n:>6} steps" for n in LENGTHS)
        + "   ratio"
    )
    for wrapper in options.wrappers:
        times = [measure(wrapper, length, options.repeats) for length in LENGTHS]
        cells = "".join(f"{seconds:>12.2f}" for seconds in times)
        print(f"{wrapper:<28}{cells}{times[1] / times[0]:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
