"""Progress bars on the terminal, by rich."""

from __future__ import annotations

from typing import Any

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def progress(console: Console) -> Progress:
    """A progress display: description, bar, count, time gone and time left.

    Args:
        console: where to show it.

    Returns:
        A `rich.progress.Progress`, to be used as a context manager.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class FitProgress(keras.callbacks.Callback):
    """One bar over all training steps, with the loss of the last epoch.

    Args:
        display: the progress display.
        epochs: number of epochs in all.
        done: epochs done before.
    """

    def __init__(self, display: Progress, epochs: int, done: int = 0) -> None:
        super().__init__()
        self.display = display
        self.epochs, self.done = epochs, done

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the bar."""
        del logs
        steps = self.params["steps"] or 1
        self.task = self.display.add_task(
            "training", total=self.epochs * steps, completed=self.done * steps
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Advance by one step."""
        del batch, logs
        self.display.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Show the loss."""
        loss = (logs or {}).get("loss", float("nan"))
        self.display.update(self.task, description=f"training, epoch {epoch + 1}, loss {loss:.3f}")
