"""The progress bar counts steps over all epochs, also those done before."""

import io

from rich.console import Console

from timedist.forecasting.progress import FitProgress, progress


def test_bar_counts_steps():
    with progress(Console(file=io.StringIO())) as display:
        bar = FitProgress(display, epochs=5, done=2)
        bar.set_params({"steps": 10, "epochs": 5})
        bar.on_train_begin()
        (task,) = display.tasks
        assert (task.total, task.completed) == (50, 20)
        for batch in range(10):
            bar.on_train_batch_end(batch)
        bar.on_epoch_end(2, {"loss": 1.23456})
        assert task.completed == 30
        assert task.description == "training, epoch 3, loss 1.235"


def test_an_unknown_number_of_steps():
    with progress(Console(file=io.StringIO())) as display:
        bar = FitProgress(display, epochs=2)
        bar.set_params({"steps": None})
        bar.on_train_begin()
        bar.on_epoch_end(0)
        assert display.tasks[0].total == 2


def test_bar_on_a_terminal():
    out = io.StringIO()
    with progress(Console(file=out, force_terminal=True, width=100)) as display:
        display.add_task("training", total=4, completed=2)
    assert "training" in out.getvalue()
    assert "2/4" in out.getvalue()
