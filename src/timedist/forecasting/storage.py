"""Files that are whole or not there: written beside their place and renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timedist.forecasting.errors import ForecastingError

FORMAT = 2
DESCRIPTION = "forecaster.json"
MODEL = "model.keras"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; the file appears at `path` when the block ends without an error.

    Args:
        path: where the file shall be; its directory must exist.

    Raises:
        ForecastingError: if the directory does not exist.
    """
    if not path.parent.is_dir():
        raise ForecastingError(f"cannot write {path}: the directory {path.parent} does not exist")
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        Path(name).chmod(0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A directory to fill; it takes the place of `path` when the block ends without an error."""
    if not path.parent.is_dir():
        raise ForecastingError(f"cannot write {path}: the directory {path.parent} does not exist")
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    old = fresh.with_name(fresh.name + "-old")
    try:
        yield fresh
        fresh.chmod(0o755)
        if path.exists():
            os.replace(path, old)
        os.replace(fresh, path)
    finally:
        if old.exists() and not path.exists():  # interrupted between the two renames
            os.replace(old, path)
        for rest in (fresh, old):
            shutil.rmtree(rest, ignore_errors=True)


def refuse_foreign_directory(path: Path) -> None:
    """Raise if `path` is anything but a model directory, so that nothing of the user's is replaced.

    Args:
        path: where a model is to be saved.

    Raises:
        ForecastingError: if something else is there.
    """
    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    if names and (DESCRIPTION not in names or names - {DESCRIPTION, MODEL}):
        raise ForecastingError(
            f"{path} exists and is no model directory, or holds other files too; choose another "
            "place"
        )
    if path.exists() and not path.is_dir():
        raise ForecastingError(f"{path} is a file; a model is saved as a directory")
    if not path.absolute().parent.is_dir():
        raise ForecastingError(
            f"cannot write {path}: the directory {path.absolute().parent} does not exist"
        )


def save(path: Path, description: dict, save_model: Callable[[str], None]) -> None:
    """Write a model directory: the model, and a description that names its checksum.

    Args:
        path: the directory.
        description: what JSON can hold.
        save_model: called with the path of the model file.
    """
    refuse_foreign_directory(path)
    with whole_directory(path.absolute()) as fresh:
        save_model(str(fresh / MODEL))
        checked = {**description, "format": FORMAT, "sha256": _checksum(fresh / MODEL)}
        (fresh / DESCRIPTION).write_text(json.dumps(checked, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, Any], Path]:
    """Read the description of a model directory and check that the directory is whole.

    Args:
        path: the directory.

    Returns:
        The description and the path of the model file.

    Raises:
        ForecastingError: if there is no model, it is half written, or of another format.
    """
    file = path / DESCRIPTION
    if not file.is_file():
        what = (
            "has no forecaster.json: it is no model directory"
            if path.is_dir()
            else "does not exist"
        )
        raise ForecastingError(f"model {path} {what}")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        written = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ForecastingError(f"model {path} is damaged: {DESCRIPTION} cannot be read") from error
    if written != FORMAT:
        raise ForecastingError(
            f"model {path} has format {written}, this version of timedist reads format {FORMAT}; "
            "fit it anew"
        )
    model = path / MODEL
    if not model.is_file() or _checksum(model) != description.get("sha256"):
        raise ForecastingError(
            f"model {path} is damaged: {MODEL} is missing or not what was written"
        )
    return description, model


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
