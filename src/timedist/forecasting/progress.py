"""Progress bars on the terminal, by rich."""

from __future__ import annotations

import signal
from types import FrameType
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


class FitProgress(keras.callbacks.Callback):
    """One bar over all steps of one or more trainings, with the last loss; a context manager.

    Nothing is shown before training begins, so that an error before it stands alone.

    Args:
        console: where to show it.
        epochs: number of epochs in all.
        done: epochs done before.
    """

    def __init__(self, console: Console, epochs: int, done: int = 0) -> None:
        super().__init__()
        self.epochs, self.done = epochs, done
        self.display = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> FitProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self.display.live.is_started:
            self.display.stop()

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the bar, if it is not open."""
        del logs
        if self.display.live.is_started:
            return
        self.display.start()
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
        del epoch  # each network counts its own
        self.done += 1
        loss = (logs or {}).get("loss", float("nan"))
        self.display.update(self.task, description=f"training, epoch {self.done}, loss {loss:.3f}")


class StopOnInterrupt(keras.callbacks.Callback):
    """Turns Ctrl-C into a `KeyboardInterrupt` at the end of the training step.

    Keras catches every exception while it waits for the loss of a step, where training spends its
    time, so an interrupt would be lost there. A second Ctrl-C interrupts at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Take over the handler of the signal, if that is not done."""
        del logs
        if not hasattr(self, "usual"):
            self.usual = signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop if asked to."""
        del batch, logs
        if self.asked:
            raise KeyboardInterrupt

    def restore(self) -> None:
        """Give the handler back."""
        if hasattr(self, "usual"):
            signal.signal(signal.SIGINT, self.usual)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self.restore()
