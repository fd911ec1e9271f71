"""Chooses the backend before Keras is imported: `pytest --backend jax|tensorflow|torch`."""

import gc
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

BACKENDS = ("jax", "tensorflow", "torch")
MOST_MAPS = 15000  # Linux allows a process 65530, and each program takes memory
QUICK_TO_COMPILE = (
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def pytest_addoption(parser):
    parser.addoption(
        "--backend",
        choices=BACKENDS,
        default=os.environ.get("KERAS_BACKEND", "jax"),
        help="the Keras backend the tests run on",
    )


def pytest_configure(config):
    os.environ["KERAS_BACKEND"] = config.getoption("--backend")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Compiling is most of what a test costs on JAX; optimising tiny programs is half of that.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    os.environ.setdefault("XLA_FLAGS", " ".join(QUICK_TO_COMPILE))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers find the one of their controller
        config.compiled = tempfile.TemporaryDirectory()
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.compiled.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # One thread a worker: threads that wait for each other's core cost more than they bring.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
    # What is traced and compiled lives long: looking through it again and again finds nothing.
    gc.set_threshold(100_000, 20, 20)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of one row of the family table on one worker: they share what is compiled."""
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        if hasattr(case, "name"):
            item.add_marker(pytest.mark.xdist_group(case.name))


@pytest.fixture(autouse=True)
def numbers_of_its_own(request):
    """Seed the module's `RNG` by the name of the test, whatever ran before it on this worker."""
    generator = getattr(request.module, "RNG", None)
    if generator is not None:
        seed = zlib.crc32(request.node.name.encode())
        generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def pytest_runtest_teardown(item):
    """Forget compiled programs before there are too many: each maps memory, which has a limit."""
    if item.config.getoption("--backend") == "jax" and _number_of_maps() > MOST_MAPS:
        import jax

        jax.clear_caches()
        gc.collect()


def _number_of_maps():
    maps = Path("/proc/self/maps")
    return maps.read_bytes().count(b"\n") if maps.exists() else 0


def pytest_report_header(config):
    return f"keras backend: {config.getoption('--backend')}"
