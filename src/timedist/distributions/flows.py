"""Invertible maps of vectors by neural networks, for `NormalizingFlow`."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import masked_networks
from timedist.distributions.fields import shared, static
from timedist.distributions.value import Value
from timedist.ops import compat, special

Tensor = Any


class Flow(Value):
    """An invertible map y = f(x) of vectors, a value made of the weights of a network.

    A subclass declares its weights with `shared`, and what is no tensor with `static`; it has
    `event_size` and `context_size` (`None` without a context), and writes `_forward(x, context)`
    and `_inverse(y, context)`, which gives x and log |det dy/dx|.
    """

    @property
    def event_size(self) -> int:
        """The number of components of the vectors."""
        raise NotImplementedError(f"{type(self).__name__} must have an `event_size`")

    @property
    def context_size(self) -> int | None:
        """The number of features of the context, or `None`."""
        return None

    def forward(self, x: Any, context: Any = None) -> Tensor:
        """y = f(x).

        Args:
            x: tensor `(..., event_size)`.
            context: what the map is conditioned on, tensor `(..., context_size)`, whose batch axes
                broadcast against those of x; `None` if it takes none.

        Returns:
            Tensor of the broadcast shape.
        """
        return self._forward(*self._as_tensors(x, context))

    def inverse(self, y: Any, context: Any = None) -> Tensor:
        """The x with f(x) = y; arguments and result as for `forward`."""
        return self._inverse(*self._as_tensors(y, context))[0]

    def log_det(self, y: Any, context: Any = None) -> Tensor:
        """log |det dy/dx| where f(x) = y.

        Args:
            y: as for `inverse`.
            context: as for `forward`.

        Returns:
            Tensor of the broadcast shape without the last axis.
        """
        return self._inverse(*self._as_tensors(y, context))[1]

    def _forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must implement `_forward`")

    def _inverse(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} must implement `_inverse`")

    def _as_tensors(self, x: Any, context: Any) -> tuple[Tensor, Tensor | None]:
        """Both in the dtype of the weights, and checked."""
        leaves = self.leaves()
        dtype = compat.dtype_of(leaves[0]) if leaves else "float32"
        self._check_context(None if context is None else np.shape(context)[-1])
        x = compat.to_tensor(x, dtype)
        if not len(x.shape) or x.shape[-1] != self.event_size:
            raise ValueError(
                f"{type(self).__name__} takes vectors of {self.event_size} components, got shape "
                f"{tuple(x.shape)}"
            )
        return x, None if context is None else compat.to_tensor(context, dtype)

    def _check_context(self, size: int | None) -> None:
        """Raise unless a context of so many features is what the flow takes."""
        if size != self.context_size:
            wanted = self.context_size
            raise ValueError(
                f"{type(self).__name__} takes "
                f"{'no context' if wanted is None else f'a context of {wanted} features'}, got "
                f"{'none' if size is None else f'one of {size} features'}"
            )


class MaskedAutoregressive(Flow):
    r"""Shifts and scales each component by a network of those before it.

    $y_i = t_i(y_{<i}, c) + x_i\, e^{s_i(y_{<i}, c)}$ with a masked network of two outputs, t and s,
    for each component, and the context c. The inverse, and so a density, takes one pass of the
    network; `forward` takes one for each place in the order.

    Components may share a place: with two places, the first `keeps_first`, it is the coupling layer
    of RealNVP, which takes one pass both ways.

    Args:
        kernels: of each layer of the network, tensors `(inputs, outputs)`; what the degrees forbid
            counts as zero. The last layer has the numbers of the first component first: its shift
            and its log scale, or its shift alone.
        degrees: ints, the places of the components in the order, 1 for the first; then the degrees
            of the units of each hidden layer. A unit sees units of no larger degree, a component
            hidden units of a smaller one.
        biases: of each layer, tensors `(outputs,)`. Default: none.
        context_kernels: of each layer or of the first alone, tensors `(context_size, outputs)`.
            Default: none, the network takes no context.
        activation: of the hidden layers, a name or a function. Default `None`: none.
        log_scale_bound: number b: the log scale is $b \tanh(s / b)$. Default `None`: it is s.
        keeps_first: whether the components in the first place stay as they are. Default `False`.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Papamakarios, Pavlakou, Murray: Masked Autoregressive Flow for Density Estimation
    (2017); Dinh, Sohl-Dickstein, Bengio: Density Estimation Using Real NVP (2017).

    >>> import numpy as np
    >>> flow = MaskedAutoregressive([np.array([[0, 0, 1.0, 0], [0, 0, 0, 0]])], degrees=[[1, 2]])
    >>> [float(y) for y in flow.forward([3.0, 4.0])]
    [3.0, 7.0]
    >>> [float(x) for x in flow.inverse([3.0, 7.0])]
    [3.0, 4.0]
    """

    kernels: Any = shared()
    degrees: Any = static()
    biases: Any = shared(())
    context_kernels: Any = shared(())
    activation: Any = static(None)
    log_scale_bound: float | None = static(None)
    keeps_first: bool = static(False)

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        values["degrees"] = tuple(tuple(map(int, row)) for row in values["degrees"])
        return super()._prepared(values)

    def _check(self) -> None:
        super()._check()
        self._check_kernels()
        widths = [kernel.shape[1] for kernel in self.kernels]
        given = [tuple(x.shape) for x in self.biases]
        if given and given != [(width,) for width in widths]:
            raise ValueError(
                f"MaskedAutoregressive: biases of shapes {given} do not fit layers of {widths} "
                "outputs"
            )
        given = [tuple(x.shape) for x in self.context_kernels]
        if len(given) not in (0, 1, len(widths)) or given != [
            (given[0][0], width) for width in widths[: len(given)]
        ]:
            raise ValueError(
                f"MaskedAutoregressive: context_kernels of shapes {given} do not fit layers of "
                f"{widths} outputs; give one for each layer, or for the first alone"
            )

    def _check_kernels(self) -> None:
        sizes, places = [len(row) for row in self.degrees], set(self.degrees[0])
        given = [tuple(x.shape) for x in self.kernels]
        wanted = [list(zip(sizes, [*sizes[1:], n * sizes[0]], strict=True)) for n in (1, 2)]
        if given not in wanted:
            raise ValueError(
                f"MaskedAutoregressive: kernels of shapes {given} do not fit the degrees of "
                f"{sizes} units, for which they are {wanted[1]} (or {wanted[0]}, of shifts alone)"
            )
        if places != set(range(1, len(places) + 1)):
            raise ValueError(
                "MaskedAutoregressive: the degrees of the components are their places, 1 to the "
                f"number of places, got {self.degrees[0]}"
            )

    @property
    def event_size(self) -> int:
        """The number of components of the vectors."""
        return len(self.degrees[0])

    @property
    def context_size(self) -> int | None:
        """The number of features of the context, or `None`."""
        return int(self.context_kernels[0].shape[0]) if self.context_kernels else None

    def _network(self, context: Tensor | None) -> Any:
        """Shift and log scale as a function of y."""
        network = masked_networks.prepared(
            self.kernels, self.biases, self.context_kernels, self.degrees, self.activation, context
        )
        moved = ops.convert_to_tensor(self._moved())

        def run(y: Tensor) -> tuple[Tensor, Tensor]:
            numbers = network(y)
            shift = special.where(moved, numbers[..., 0], 0.0)
            if numbers.shape[-1] == 1:
                return shift, ops.zeros_like(shift)
            log_scale = special.where(moved, numbers[..., 1], 0.0)
            if self.log_scale_bound is not None:
                log_scale = self.log_scale_bound * special.tanh(log_scale / self.log_scale_bound)
            return shift, log_scale

        return run

    def _moved(self) -> np.ndarray:
        """Which components do not stay as they are."""
        return np.array(self.degrees[0]) > int(self.keeps_first)

    def _inverse(self, y: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._network(context)(y)
        return (y - shift) * ops.exp(-log_scale), ops.sum(log_scale, axis=-1)

    def _forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        network, places = self._network(context), np.array(self.degrees[0])
        if context is not None:
            x = x + ops.zeros_like(context[..., :1])
        y = special.where(ops.convert_to_tensor(~self._moved()), x, 0.0)
        for place in sorted(set(places[self._moved()])):
            now = ops.convert_to_tensor(places == place)
            shift, log_scale = network(y)
            # Of the others it is not yet known, and might overflow.
            log_scale = special.where(now, log_scale, 0.0)
            y = ops.where(now, shift + x * ops.exp(log_scale), y)
        return y
