"""The progress bar counts steps over all epochs, and Ctrl-C ends training at the end of a step."""

import io
import signal

import pytest
from rich.console import Console

from timedist.forecasting.progress import FitProgress, StopOnInterrupt


def test_bar_counts_steps():
    out = io.StringIO()
    with FitProgress(Console(file=out, force_terminal=True, width=100), epochs=5, done=2) as bar:
        bar.set_params({"steps": 10, "epochs": 5})
        bar.on_train_begin()
        (task,) = bar.display.tasks
        assert (task.total, task.completed) == (50, 20)
        for batch in range(10):
            bar.on_train_batch_end(batch)
        bar.on_epoch_end(2, {"loss": 1.23456})
        assert task.completed == 30
        assert task.description == "training, epoch 3, loss 1.235"
        bar.on_train_begin()  # of another network
        bar.on_train_batch_end(0)
        bar.on_epoch_end(0, {"loss": 2.0})
        assert [one.completed for one in bar.display.tasks] == [31]
    assert "training, epoch 4, loss 2.000" in out.getvalue()
    assert "31/50" in out.getvalue()


def test_an_unknown_number_of_steps():
    with FitProgress(Console(file=io.StringIO()), epochs=2) as bar:
        bar.set_params({"steps": None})
        bar.on_train_begin()
        bar.on_epoch_end(0)
        assert bar.display.tasks[0].total == 2


def test_nothing_is_shown_before_training_begins():
    out = io.StringIO()
    with pytest.raises(ValueError, match="bad data"), FitProgress(Console(file=out), epochs=2):
        raise ValueError("bad data")
    assert out.getvalue() == ""


def test_ctrl_c_waits_for_the_end_of_the_step():
    before = signal.getsignal(signal.SIGINT)
    usual = signal.default_int_handler  # a shell makes its background jobs ignore the signal
    signal.signal(signal.SIGINT, usual)
    stop = StopOnInterrupt()
    stop.on_train_begin()
    try:
        stop.on_train_batch_end(0)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.on_train_batch_end(1)
        with pytest.raises(KeyboardInterrupt):  # a second one does not wait
            signal.raise_signal(signal.SIGINT)
    finally:
        stop.restore()
        restored = signal.signal(signal.SIGINT, before)
    assert restored is usual
    StopOnInterrupt().restore()  # training has not begun
