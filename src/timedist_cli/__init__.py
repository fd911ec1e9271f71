"""The `timedist` command: choose the backend, then hand over.

It stands outside the package because importing the package imports Keras, which takes seconds, and
reads its backend at that moment and never again.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

BACKENDS = ("jax", "tensorflow", "torch")


def chosen_backend(arguments: list[str]) -> str:
    """The backend of `--backend`, else of `KERAS_BACKEND`, else JAX, the fastest on a CPU."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--backend="):
            return argument.partition("=")[2]
        if argument == "--backend" and position + 1 < len(arguments):
            return arguments[position + 1]
    return os.environ.get("KERAS_BACKEND") or "jax"


def main() -> None:
    """Run the command."""
    backend = chosen_backend(sys.argv[1:])
    if backend not in BACKENDS:
        _stop(f"the backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    os.environ["KERAS_BACKEND"] = backend
    # TensorFlow and XLA announce themselves on stderr otherwise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from timedist_cli.commands import run
    except ImportError as error:
        _stop_missing(error)
    sys.exit(run())


def work() -> Any:
    """The module that does what the commands say."""
    try:
        with _silent_stderr():
            from timedist.forecasting import cli
    except ImportError as error:
        _stop_missing(error)
    return cli


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Nothing reaches stderr: TensorFlow writes there while it is imported, whatever one sets."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _stop_missing(error: ImportError) -> NoReturn:
    missing, backend = error.name or str(error), os.environ.get("KERAS_BACKEND")
    extra = backend if missing.partition(".")[0] == backend else "forecast"
    _stop(f'{missing} is not installed: pip install "timedist[{extra}]"')


def _stop(message: str) -> NoReturn:
    print(f"timedist: {message}", file=sys.stderr)
    sys.exit(2)
