"""`KLAnnealing`: the weight of a divergence grows while a model trains."""

from __future__ import annotations

from typing import Any

import keras

from timedist import checks
from timedist.ops import compat


class KLAnnealing(keras.callbacks.Callback):
    r"""Raises the variable `kl_weight` of every layer in a model while it trains.

    $w(t) = \mathrm{start} + (\mathrm{stop} - \mathrm{start}) \min(1, t / \mathrm{warmup})$, t the
    epochs or steps (batches) since the beginning, or since that of the current cycle. So the
    decoder learns to read the latent vector before it costs its full price. `RecurrentVAE` and
    `VariationalRNN` have such a variable; a model of your own may.

    Args:
        warmup_epochs: int, over how many epochs the weight rises; the epoch of this number, counted
            from 0, is the first with the full weight.
        warmup_steps: int, over how many steps instead; give one of the two. They are counted from
            the beginning of `fit`, epochs as `fit` counts them, `initial_epoch` included.
        start: the weight at the beginning. Default 0.
        stop: the weight at the end of the warmup and after. Default 1.
        cycle: int, after how many epochs or steps (as the warmup) the weight starts anew. Default
            `None`: never.
        cycles: int, how many cycles there are before the weight stays at `stop`. Default `None`:
            they go on.

    Raises:
        ValueError: if not one of the warmups is given, a number is not as said or a cycle is
            shorter than the warmup; in `fit`, if nothing in the model has such a variable.

    Source: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio: Generating Sentences from a Continuous
    Space (2016); cycles: Fu, Li, Liu, Gao, Celikyilmaz, Carin: Cyclical Annealing Schedule (2019).

    >>> annealing = KLAnnealing(warmup_epochs=4, cycle=8, cycles=2)
    >>> [annealing.weight(epoch) for epoch in (0, 1, 4, 7, 8, 9, 15, 16, 17)]
    [0.0, 0.25, 1.0, 1.0, 0.0, 0.25, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        warmup_epochs: int | None = None,
        warmup_steps: int | None = None,
        start: float = 0.0,
        stop: float = 1.0,
        cycle: int | None = None,
        cycles: int | None = None,
    ) -> None:
        super().__init__()
        if (warmup_epochs is None) == (warmup_steps is None):
            raise ValueError(
                "KLAnnealing: give either warmup_epochs or warmup_steps, got "
                f"{warmup_epochs!r} and {warmup_steps!r}"
            )
        self.by_steps = warmup_epochs is None
        name = "warmup_steps" if self.by_steps else "warmup_epochs"
        given = warmup_steps if self.by_steps else warmup_epochs
        self.warmup = checks.count("KLAnnealing", name, given, 1)
        self.start = checks.not_negative("KLAnnealing", "start", start)
        self.stop = checks.not_negative("KLAnnealing", "stop", stop)
        least = self.warmup
        self.cycle = None if cycle is None else checks.count("KLAnnealing", "cycle", cycle, least)
        self.cycles = None if cycles is None else checks.count("KLAnnealing", "cycles", cycles, 1)
        if self.cycle is None and self.cycles is not None:
            raise ValueError("KLAnnealing: cycles needs cycle, the length of one")
        self._first = self._passed = 0
        self._last: float | None = None

    def weight(self, passed: int) -> float:
        """The weight after so many epochs or steps.

        Args:
            passed: int, how many lie behind.

        Returns:
            A number.
        """
        if self.cycle is not None:
            over = self.cycles is not None and passed >= self.cycles * self.cycle
            passed = self.warmup if over else passed % self.cycle
        return self.start + (self.stop - self.start) * min(1.0, passed / self.warmup)

    def on_train_begin(self, logs: Any = None) -> None:
        """Look for the models whose weight it is, and count steps from here."""
        del logs
        self._first, self._passed, self._last = 0, 0, None
        if not self._annealed():
            raise ValueError(
                f"KLAnnealing: nothing in the model {self.model.name!r} has a variable kl_weight "
                "that it could set, as RecurrentVAE and VariationalRNN have"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the weight of the epoch."""
        del logs
        self._first = self._passed
        if not self.by_steps:
            self._assign(self.weight(epoch))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the weight of the step."""
        del logs
        if self.by_steps:
            self._assign(self.weight(self._first + batch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step."""
        del logs
        self._passed = self._first + batch + 1

    def _annealed(self) -> list[Any]:
        """What has such a weight among all layers of the model that trains."""
        weights = [(x, getattr(x, "kl_weight", None)) for x in compat.layers_of(self.model)]
        return [x for x, weight in weights if isinstance(weight, keras.Variable)]

    def _assign(self, weight: float) -> None:
        if weight == self._last:  # on JAX each look at the model interrupts the epoch
            return
        self._last = weight
        for layer in self._annealed():
            layer.kl_weight.assign(weight)
