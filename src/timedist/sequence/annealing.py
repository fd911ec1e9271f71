"""Numbers of a loss or a model that grow while it trains."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from timedist import checks
from timedist.ops import compat


class Annealing(keras.callbacks.Callback):
    r"""Raises a variable of every layer in a model that has it while the model trains.

    $w(t) = \mathrm{start} + (\mathrm{stop} - \mathrm{start}) \min(1, t / \mathrm{warmup})$, t the
    epochs or steps (batches) since the beginning, or since that of the current cycle.

    Args:
        warmup_epochs: int, over how many epochs the number rises; the epoch of this number, counted
            from 0, is the first with the last value.
        warmup_steps: int, over how many steps instead; give one of the two. They are counted from
            the beginning of `fit`, epochs as `fit` counts them, `initial_epoch` included.
        start: the number at the beginning. Default 0.
        stop: the number at the end of the warmup and after. Default 1.
        cycle: int, after how many epochs or steps (as the warmup) it starts anew. Default `None`:
            never.
        cycles: int, how many cycles there are before it stays at `stop`. Default `None`: they go
            on.

    Attributes:
        variable: the name of the variable, of a subclass.
        owners: what has one, in words.

    Raises:
        ValueError: if not one of the warmups is given, a number is not as said or a cycle is
            shorter than the warmup; in `fit`, if nothing in the model has such a variable.
    """

    variable: ClassVar[str]
    owners: ClassVar[str]

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
        owner = type(self).__name__
        if (warmup_epochs is None) == (warmup_steps is None):
            raise ValueError(
                f"{owner}: give either warmup_epochs or warmup_steps, got "
                f"{warmup_epochs!r} and {warmup_steps!r}"
            )
        self.by_steps = warmup_epochs is None
        name = "warmup_steps" if self.by_steps else "warmup_epochs"
        given = warmup_steps if self.by_steps else warmup_epochs
        self.warmup = checks.count(owner, name, given, 1)
        self.start = checks.not_negative(owner, "start", start)
        self.stop = checks.not_negative(owner, "stop", stop)
        least = self.warmup
        self.cycle = None if cycle is None else checks.count(owner, "cycle", cycle, least)
        self.cycles = None if cycles is None else checks.count(owner, "cycles", cycles, 1)
        if self.cycle is None and self.cycles is not None:
            raise ValueError(f"{owner}: cycles needs cycle, the length of one")
        self._first = self._passed = 0
        self._last: float | None = None

    def weight(self, passed: int) -> float:
        """The number after so many epochs or steps.

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
        """Look for the layers whose variable it is, and count steps from here."""
        del logs
        self._first, self._passed, self._last = 0, 0, None
        if not self._annealed():
            raise ValueError(
                f"{type(self).__name__}: nothing in the model {self.model.name!r} has a variable "
                f"{self.variable} that it could set, as {self.owners} have"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the number of the epoch."""
        del logs
        self._first = self._passed
        if not self.by_steps:
            self._assign(self.weight(epoch))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Set the number of the step."""
        del logs
        if self.by_steps:
            self._assign(self.weight(self._first + batch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the step."""
        del logs
        self._passed = self._first + batch + 1

    def _annealed(self) -> list[Any]:
        """What has such a variable among all layers of the model that trains."""
        weights = [(x, getattr(x, self.variable, None)) for x in compat.layers_of(self.model)]
        return [x for x, weight in weights if isinstance(weight, keras.Variable)]

    def _assign(self, weight: float) -> None:
        if weight == self._last:  # on JAX each look at the model interrupts the epoch
            return
        self._last = weight
        for layer in self._annealed():
            getattr(layer, self.variable).assign(weight)


class KLAnnealing(Annealing):
    """Raises the weight of a divergence, the variable `kl_weight`, while a model trains.

    So the decoder learns to read the latent vector before it costs its full price. `RecurrentVAE`
    and `VariationalRNN` have such a variable; a layer of your own may.

    Arguments and errors as for `Annealing`.

    Source: Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio: Generating Sentences from a Continuous
    Space (2016); cycles: Fu, Li, Liu, Gao, Celikyilmaz, Carin: Cyclical Annealing Schedule (2019).

    >>> annealing = KLAnnealing(warmup_epochs=4, cycle=8, cycles=2)
    >>> [annealing.weight(epoch) for epoch in (0, 1, 4, 7, 8, 9, 15, 16, 17)]
    [0.0, 0.25, 1.0, 1.0, 0.0, 0.25, 1.0, 1.0, 1.0]
    """

    variable = "kl_weight"
    owners = "RecurrentVAE and VariationalRNN"


class ScheduledSampling(Annealing):
    """Raises the share of its own draws that a model reads, its `sampling_rate`, while it trains.

    So it first learns from the truth, then to go on from its own mistakes. An `AutoregressiveModel`
    with `scheduled_sampling` has such a variable.

    Arguments and errors as for `Annealing`; a rate above 1 is as good as 1.

    Source: Bengio, Vinyals, Jaitly, Shazeer: Scheduled Sampling for Sequence Prediction with
    Recurrent Neural Networks (2015).

    >>> [ScheduledSampling(warmup_epochs=2, stop=0.5).weight(epoch) for epoch in range(4)]
    [0.0, 0.25, 0.5, 0.5]
    """

    variable = "sampling_rate"
    owners = "autoregressive models with scheduled_sampling"
