"""Distributions of torch, NumPyro and TFP from ours and back: parameters and densities agree."""

import importlib.util

import keras
import numpy as np
import pytest
from elsewhere import POSITIVE, SHIFT, ours_of
from helpers import BACKEND, to_numpy

from timedist import distributions as td
from timedist import interop
from timedist.interop.tables import TABLES
from timedist.ops import native

LIBRARIES = {
    "torch": (interop.to_torch, interop.from_torch),
    "numpyro": (interop.to_numpyro, interop.from_numpyro),
    "tensorflow_probability": (interop.to_tfp, interop.from_tfp),
}


def log_prob_of(library, distribution, value):
    """The other library's log density, as a NumPy array."""
    value = native.to_array(library, keras.ops.convert_to_tensor(value))
    if library == "numpyro" and "Delta" not in type(distribution).__name__:
        value = value.astype("int32") if distribution.support.is_discrete else value
    return np.asarray(native.from_array(distribution.log_prob(value)))


ROWS = [(library, name) for library in LIBRARIES for name in TABLES[library]]


def skip_without(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


@pytest.mark.parametrize(("library", "name"), ROWS)
def test_there_and_back(library, name):
    skip_without(library)
    to, back = LIBRARIES[library]
    ours, value = ours_of(name)
    theirs = to(ours)
    np.testing.assert_allclose(
        log_prob_of(library, theirs, value),
        to_numpy(ours.log_prob(value)),
        rtol=2e-4,
        atol=1e-5,
    )
    again = back(theirs)
    if (library, name) != ("numpyro", "TruncatedNormal"):  # which is a `Truncated` normal there
        assert type(again) is type(ours)
    assert again.batch_shape == ours.batch_shape
    assert again.event_shape == ours.event_shape
    np.testing.assert_allclose(
        to_numpy(again.log_prob(value)), to_numpy(ours.log_prob(value)), rtol=2e-4, atol=1e-5
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_probabilities_stay_probabilities(library):
    skip_without(library)
    to, back = LIBRARIES[library]
    ours = td.Bernoulli(probs=[0.0, 0.25])
    again = back(to(ours))
    assert again._values["logits"] is None
    np.testing.assert_allclose(to_numpy(again.probs), [0.0, 0.25])
    rate = back(to(td.Poisson(log_rate=[0.0, 1.0]))).rate
    np.testing.assert_allclose(to_numpy(rate), np.exp([0.0, 1.0]), rtol=1e-6)


@pytest.mark.parametrize("library", ["torch", "numpyro"])
@pytest.mark.parametrize("name", ["MultivariateNormalDiag", "GaussianProcessMarginals"])
def test_a_family_they_lack_but_can_make_of_others(library, name):
    skip_without(library)
    ours, value = ours_of("MultivariateNormalDiag")
    if name == "GaussianProcessMarginals":
        ours = td.GaussianProcessMarginals(td.Normal(ours.loc, ours.scale_diag), 0.1)
    theirs = LIBRARIES[library][0](ours)
    np.testing.assert_allclose(
        log_prob_of(library, theirs, value), to_numpy(ours.log_prob(value)), rtol=1e-5
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_unknown_families_are_named_with_the_known_ones(library):
    skip_without(library)
    to, back = LIBRARIES[library]
    with pytest.raises(NotImplementedError, match=rf"{library} has no family for Empty.*Normal"):
        to(_empty()(0.0))
    with pytest.raises(TypeError, match=r"expected a distribution of timedist, got float"):
        to(0.5)
    with pytest.raises(TypeError, match=rf"expected a distribution of {library}, got float"):
        back(0.5)
    module = native.distributions(library)
    scale = {"loc": 0.0, "scale": 1.0} if "tensor" in library else {"scale": 1.0}
    with pytest.raises(NotImplementedError, match=r"timedist has no family for .*Normal"):
        back(module.HalfCauchy(**scale))


def _empty():
    class Empty(td.Distribution):
        loc: object = td.parameter(td.constraints.real)

    return Empty


def test_python_numbers_are_float32():
    module = pytest.importorskip("torch").distributions
    assert interop.from_torch(module.Normal(0.0, 1.0)).dtype == "float32"


def test_what_is_native_already_stays():
    library = {"jax": "numpyro", "tensorflow": "tensorflow_probability", "torch": "torch"}[BACKEND]
    to, _ = LIBRARIES[library]
    theirs = to(td.Normal(SHIFT, POSITIVE))
    found = to(interop.as_distribution(theirs))
    assert type(found) is type(theirs)
    other = next(name for name in LIBRARIES if name != library)
    with pytest.raises(NotImplementedError, match="cannot be converted"):
        LIBRARIES[other][0](interop.as_distribution(theirs))


@pytest.mark.skipif(BACKEND != "torch", reason="the tensors are torch's own on that backend only")
def test_gradients_pass_through_on_torch():
    loc = keras.ops.convert_to_tensor(SHIFT).clone().requires_grad_(True)
    theirs = interop.to_torch(td.Normal(loc, 1.0))
    theirs.log_prob(keras.ops.convert_to_tensor(POSITIVE)).sum().backward()
    np.testing.assert_allclose(loc.grad.numpy(), POSITIVE - SHIFT, rtol=1e-6)
    again = interop.from_torch(theirs)
    assert again.loc.requires_grad
