"""Chooses the backend before Keras is imported: `pytest --backend jax|tensorflow|torch`."""

import os

import pytest

BACKENDS = ("jax", "tensorflow", "torch")


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
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of one row of the family table on one worker: they share what is compiled."""
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        if hasattr(case, "name"):
            item.add_marker(pytest.mark.xdist_group(case.name))


def pytest_report_header(config):
    return f"keras backend: {config.getoption('--backend')}"
