"""The console script: the backend is chosen before Keras is imported, and errors are one line."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import timedist_cli

BACKEND = keras.backend.backend()
SCRIPT = Path(sys.executable).with_name("timedist")


def test_chosen_backend(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert timedist_cli.chosen_backend(["fit", "--backend", "tensorflow", "x.csv"]) == "tensorflow"
    assert timedist_cli.chosen_backend(["--backend=jax"]) == "jax"
    assert timedist_cli.chosen_backend(["fit"]) == "torch"
    assert timedist_cli.chosen_backend(["fit", "--backend"]) == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert timedist_cli.chosen_backend([]) == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    assert timedist_cli.chosen_backend([]) == "jax"


def stopped(monkeypatch, capsys, *arguments):
    """The one line on stderr with which the command ends before anything is imported."""
    monkeypatch.setattr(sys, "argv", ["timedist", *arguments])
    with pytest.raises(SystemExit) as ended:
        timedist_cli.main()
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def test_unknown_backend(monkeypatch, capsys):
    assert stopped(monkeypatch, capsys, "demo", "--backend", "mxnet") == (
        "timedist: the backend must be one of jax, tensorflow, torch, got 'mxnet'"
    )
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert "got 'theano'" in stopped(monkeypatch, capsys, "demo")


@pytest.mark.parametrize(
    ("missing", "extra"), [(BACKEND, BACKEND), ("narwhals", "forecast"), ("typer", "forecast")]
)
def test_missing_packages_say_what_to_install(missing, extra, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", BACKEND)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    # The options need typer only, what the commands do needs the rest.
    home = "timedist_cli.commands" if missing == "typer" else "timedist.forecasting"
    for name in [name for name in sys.modules if name.startswith(home)]:
        monkeypatch.delitem(sys.modules, name)
    error = ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name.startswith(home):
                raise error

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert stopped(monkeypatch, capsys, "fit", "data.csv", "-o", "model") == (
        f'timedist: {missing} is not installed: pip install "timedist[{extra}]"'
    )


def test_help_needs_no_keras():
    script = """
import sys, timedist_cli
sys.argv = ["timedist", "fit", "--help"]
try:
    timedist_cli.main()
except SystemExit as ended:
    assert not ended.code
assert not {"keras", "numpy", "timedist"} & set(sys.modules)
"""
    done = command("-c", script, program=(sys.executable,))
    assert (done.returncode, done.stderr) == (0, "")
    assert "--horizon" in done.stdout


def command(*arguments, program=(str(SCRIPT),), **environment):
    return subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=300,
    )


def test_the_console_script_runs_on_the_backend_it_is_given(tmp_path):
    """Bad data, so that nothing is trained; a second --backend would be refused by name."""
    path = tmp_path / "data.csv"
    path.write_text("unique_id,ds\na,2025-01-01\n", encoding="utf-8")
    other = "torch" if BACKEND == "jax" else "jax"
    arguments = ["fit", path, "-o", tmp_path / "model", "--backend", BACKEND]
    done = command(*arguments, KERAS_BACKEND=other)
    assert done.stderr == (
        f"timedist: {path}: column 'y' is missing; expected unique_id, ds, y, got unique_id, ds\n"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]


def test_the_module_runs_too():
    done = command("--help", program=(sys.executable, "-m", "timedist"), KERAS_BACKEND=BACKEND)
    assert done.returncode == 0
    assert "timedist demo" in done.stdout
