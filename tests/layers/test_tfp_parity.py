"""The heads of `tfp.layers` against TFP itself, which runs on tf_keras in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import ported
import pytest
from helpers import to_numpy

import timedist
from timedist import layers

pytestmark = [
    pytest.mark.xdist_group("tfp_parity"),
    pytest.mark.skipif(
        any(importlib.util.find_spec(x) is None for x in ("tensorflow_probability", "tf_keras")),
        reason="TFP or tf_keras is not installed",
    ),
]
KEYS = ("log_prob", "mean", "variance")
BATCH = (8, 6)


def ours(name):
    """The size of the parameters and the head."""
    return ported.HEADS[name](layers, timedist.distributions)


def value_of(name, event_shape, rng):
    """Values inside the support."""
    shape = (*BATCH, *event_shape)
    if "OneHot" in name:
        return np.eye(event_shape[0], dtype="float32")[rng.integers(0, event_shape[0], BATCH)]
    if "Bernoulli" in name or "Poisson" in name:
        top = 2 if "Bernoulli" in name else 9
        return rng.integers(0, top, size=shape).astype("float32")
    return (2.0 * rng.normal(size=shape)).astype("float32")


@pytest.fixture(scope="module")
def given():
    """Raw parameters and values for every head, and inputs for the networks."""
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(*BATCH, 4)).astype("float32")}
    for name in ported.HEADS:
        size, head = ours(name)
        raw = (3.0 * rng.normal(size=(*BATCH, size))).astype("float32")
        event_shape = head(raw).event_shape
        if name == "DistributionLambda":
            event_shape = (3,)
        arrays[f"{name}.raw"] = raw
        arrays[f"{name}.value"] = value_of(name, event_shape, rng)
    for key, size in (("x", 4), ("y", 3), ("context", 2)):
        arrays[f"flow.{key}"] = rng.normal(size=(8, size)).astype("float32")
    return arrays


@pytest.fixture(scope="module")
def theirs(given, tmp_path_factory):
    """What TFP makes of them."""
    folder = tmp_path_factory.mktemp("tfp")
    np.savez(folder / "given.npz", **given)
    subprocess.run(
        [sys.executable, ported.__file__, folder / "given.npz", folder / "answers.npz"],
        check=True,
        cwd=Path(ported.__file__).parent,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
    )
    return dict(np.load(folder / "answers.npz"))


def check(distribution, value, theirs, prefix):
    """Equal to what TFP has under the prefix, to 1e-5."""
    for key, mine in ported.statistics(distribution, value).items():
        expected = theirs[f"{prefix}.{key}"]
        assert to_numpy(mine).shape == expected.shape
        np.testing.assert_allclose(to_numpy(mine), expected, rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", ported.HEADS)
def test_equal_raw_parameters_give_equal_distributions(name, given, theirs):
    size, head = ours(name)
    assert size == theirs[f"{name}.size"]
    check(head(given[f"{name}.raw"]), given[f"{name}.value"], theirs, name)


@pytest.mark.parametrize("name", ported.HEADS)
def test_weights_of_a_whole_model_carry_over(name, given, theirs):
    model = ported.model(keras, layers, timedist.distributions, name)
    weights = [theirs[f"{name}.weight{number}"] for number in range(4)]
    model.set_weights(weights)
    check(model(given["x"]), given[f"{name}.value"], theirs, f"{name}.model")


@pytest.mark.parametrize("name", ported.CONVERSIONS)
def test_conversions_are_those_of_tfp(name, given, theirs):
    head = ported.converted(layers, timedist.distributions, name)
    assert head.convert_to_tensor_fn == name
    mine = to_numpy(head(given["IndependentLogistic.raw"]))
    np.testing.assert_allclose(mine, theirs[f"converted.{name}"], rtol=1e-5, atol=1e-5)


def weights_of(theirs, name):
    """What TFP's layer has been filled with, in its order."""
    number = sum(key.startswith(f"{name}.weight") for key in theirs)
    return [theirs[f"{name}.weight{i}"] for i in range(number)]


@pytest.mark.parametrize("name", ported.NETWORKS)
def test_weights_of_masked_networks_carry_over(name, given, theirs):
    network = ported.network(layers.AutoregressiveNetwork, name)
    network.build((None, 3))
    network.set_weights(weights_of(theirs, f"network.{name}"))
    more = [given["flow.context"]] if network.conditional else []
    mine = to_numpy(network(given["flow.y"], *more))
    np.testing.assert_allclose(mine, theirs[f"network.{name}"], rtol=1e-5, atol=1e-5)


def test_weights_of_flows_carry_over(given, theirs):
    model = ported.flow(keras, layers, timedist.distributions, layers.AutoregressiveNetwork)
    model.set_weights(weights_of(theirs, "flow"))
    mine = to_numpy(model(given["flow.x"]).log_prob(given["flow.y"]))
    assert np.ptp(theirs["flow.log_prob"]) > 1.0
    np.testing.assert_allclose(mine, theirs["flow.log_prob"], rtol=1e-5, atol=1e-5)
