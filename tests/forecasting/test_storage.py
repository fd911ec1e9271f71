"""Files and model directories are whole or not there, and nothing of the user's is replaced."""

import json
import os

import pytest

from timedist.forecasting import storage
from timedist.forecasting.errors import ForecastingError


def write(text):
    def save_model(path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    return save_model


def listing(path):
    return sorted(file.name for file in path.iterdir())


def fail(*_):
    raise KeyboardInterrupt


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    storage.save(path, {"config": 1}, write("weights"))
    return path


def test_what_is_saved_is_loaded(model):
    description, file = storage.load(model)
    assert description["config"] == 1
    assert description["format"] == storage.FORMAT
    assert file.read_text(encoding="utf-8") == "weights"
    assert listing(model) == [storage.DESCRIPTION, storage.MODEL]
    assert listing(model.parent) == ["model"]


def test_a_model_is_replaced_whole(model):
    storage.save(model, {"config": 2}, write("others"))
    description, file = storage.load(model)
    assert (description["config"], file.read_text(encoding="utf-8")) == (2, "others")
    assert listing(model.parent) == ["model"]


def test_an_interrupted_write_leaves_the_old_model(model):
    with pytest.raises(KeyboardInterrupt):
        storage.save(model, {"config": 2}, fail)
    assert storage.load(model)[0]["config"] == 1
    assert listing(model.parent) == ["model"]


def test_an_interrupt_between_the_renames_leaves_the_old_model(model, monkeypatch):
    rename, calls = os.replace, []

    def interrupted(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.save(model, {"config": 2}, write("others"))
    assert len(calls) == 3
    assert storage.load(model)[0]["config"] == 1
    assert listing(model.parent) == ["model"]


def test_an_interrupted_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        storage.save(tmp_path / "model", {}, fail)
    assert listing(tmp_path) == []


def test_an_empty_directory_may_be_filled(tmp_path):
    storage.save(tmp_path, {"config": 1}, write("weights"))
    assert storage.load(tmp_path)[0]["config"] == 1


@pytest.mark.parametrize("names", [["notes.txt"], [storage.MODEL], [storage.DESCRIPTION, "notes"]])
def test_a_foreign_directory_is_never_replaced(tmp_path, names):
    path = tmp_path / "work"
    path.mkdir()
    for name in names:
        (path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ForecastingError, match=r"work exists and is no model directory, or holds"):
        storage.save(path, {}, write("weights"))
    assert listing(path) == sorted(names)


def test_a_file_is_never_replaced_by_a_directory(tmp_path):
    (tmp_path / "model").write_text("mine", encoding="utf-8")
    with pytest.raises(ForecastingError, match=r"model is a file; a model is saved as a directory"):
        storage.save(tmp_path / "model", {}, write("weights"))


def test_no_place_to_write_to(tmp_path):
    with pytest.raises(ForecastingError, match=r"cannot write .*the directory .*no does not exist"):
        storage.save(tmp_path / "no" / "model", {}, write("weights"))
    with (
        pytest.raises(ForecastingError, match=r"cannot write .*the directory .*no does not exist"),
        storage.whole_file(tmp_path / "no" / "a.csv"),
    ):
        pass


def refusal(path):
    with pytest.raises(ForecastingError) as caught:
        storage.load(path)
    return str(caught.value)


def test_load_refuses_what_is_no_model(tmp_path):
    assert refusal(tmp_path / "none") == f"model {tmp_path / 'none'} does not exist"
    assert refusal(tmp_path) == f"model {tmp_path} has no forecaster.json: it is no model directory"


def test_load_refuses_another_format(model):
    file = model / storage.DESCRIPTION
    description = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**description, "format": 99}), encoding="utf-8")
    assert refusal(model) == (
        f"model {model} has format 99, this version of timedist reads format {storage.FORMAT}; "
        "fit it anew"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3"])
def test_load_refuses_a_damaged_description(model, text):
    (model / storage.DESCRIPTION).write_text(text, encoding="utf-8")
    assert refusal(model) == f"model {model} is damaged: forecaster.json cannot be read"


def test_load_refuses_a_half_written_model(model):
    damaged = f"model {model} is damaged: model.keras is missing or not what was written"
    (model / storage.MODEL).write_text("wei", encoding="utf-8")
    assert refusal(model) == damaged
    (model / storage.MODEL).unlink()
    assert refusal(model) == damaged


def test_whole_file(tmp_path):
    path = tmp_path / "a.txt"
    with storage.whole_file(path) as fresh:
        assert fresh.suffix == ".txt"
        fresh.write_text("one", encoding="utf-8")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), storage.whole_file(path) as fresh:
        fresh.write_text("two", encoding="utf-8")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "one"
    assert listing(tmp_path) == ["a.txt"]
