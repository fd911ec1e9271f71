"""What all kernels share: batches, dtypes, sums and products, configs, errors."""

import keras
import numpy as np
import pytest
from helpers import compiled, float64_scope, to_numpy
from keras import ops

from timedist.distributions import Normal, constraints, kernels, parameter
from timedist.distributions.kernels import ExponentiatedQuadratic, FeatureScaled, Linear

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 2)).astype("float32")
NESTED = FeatureScaled(
    ExponentiatedQuadratic(2.0, 0.5), [1.0, 3.0]
) * kernels.MaternOneHalf() + Linear(0.5)


@keras.saving.register_keras_serializable("test_kernel")
class Brownian(kernels.Kernel):
    """A user's kernel."""

    rate: object = parameter(constraints.positive, 1.0)

    def _apply(self, x1, x2):
        return self.rate * ops.minimum(x1, x2)[..., 0]


def test_sums_and_products():
    one, two = ExponentiatedQuadratic(2.0), Linear(1.0)
    a, b = (to_numpy(kernel.matrix(X, X)) for kernel in (one, two))
    np.testing.assert_allclose(to_numpy((one + two).matrix(X, X)), a + b, rtol=1e-6)
    np.testing.assert_allclose(to_numpy((one * two).matrix(X, X)), a * b, rtol=1e-6)
    np.testing.assert_allclose(to_numpy((one * two + one).apply(X, X)), np.diag(a * b + a), 1e-6)


@pytest.mark.parametrize("wrong", [2.0, Normal(0.0, 1.0), None])
def test_only_kernels_combine(wrong):
    with pytest.raises(TypeError):
        ExponentiatedQuadratic() + wrong
    with pytest.raises(TypeError, match="Sum: kernels must be a non-empty list of kernels"):
        kernels.Sum([ExponentiatedQuadratic(), wrong])
    with pytest.raises(TypeError, match="FeatureScaled: kernel must be a kernel, got"):
        FeatureScaled(wrong, [1.0])
    with pytest.raises(TypeError, match="non-empty"):
        kernels.Product([])


def test_a_batch_of_parameters_gives_a_batch_of_matrices():
    kernel = ExponentiatedQuadratic([1.0, 2.0], [0.5, 3.0])
    assert kernel.batch_shape == (2,)
    found = to_numpy(kernel.matrix(X, X))
    for i, (amplitude, scale) in enumerate([(1.0, 0.5), (2.0, 3.0)]):
        expected = to_numpy(ExponentiatedQuadratic(amplitude, scale).matrix(X, X))
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)
    assert tuple(kernel.apply(X, X).shape) == (2, 4)
    assert tuple(kernel.matrix(X[:, None, None], X).shape) == (4, 2, 1, 4)


@pytest.mark.parametrize("kernel", [NESTED, kernels.ExpSinSquared(period=2.0), Brownian(3.0)])
def test_configs(kernel):
    config = keras.saving.serialize_keras_object(kernel)
    again = keras.saving.deserialize_keras_object(config)
    assert repr(again) == repr(kernel)
    np.testing.assert_array_equal(to_numpy(again.matrix(X, X)), to_numpy(kernel.matrix(X, X)))


def test_rows_are_those_of_the_leaves():
    names = [row.name for row in NESTED.rows()]
    assert names == [
        *("amplitude", "length_scale", "scale_diag"),
        *("amplitude", "length_scale"),
        *("bias_amplitude", "slope_amplitude", "shift"),
    ]
    values = [to_numpy(leaf).tolist() for leaf in NESTED.leaves()]
    assert values == [2.0, 0.5, [1.0, 3.0], 1.0, 1.0, 0.5, 1.0, 0.0]


def test_the_result_has_the_wider_dtype():
    with float64_scope():
        wide = np.array(1.0)
        assert to_numpy(ExponentiatedQuadratic(2.0).matrix(X, X)).dtype == "float32"
        assert to_numpy(ExponentiatedQuadratic(wide).matrix(X, X)).dtype == "float64"
        assert to_numpy(NESTED.matrix(X.astype("float64"), X)).dtype == "float64"
    assert to_numpy(Linear().matrix([[1], [2]], [[3]])).tolist() == [[3.0], [6.0]]


def test_none_is_the_default():
    assert to_numpy(Linear(None, None).matrix(X, X)) == pytest.approx(X @ X.T, rel=1e-5)


def test_a_kernel_enters_and_leaves_a_compiled_function():
    def doubled(amplitude, x):
        kernel = ExponentiatedQuadratic(amplitude) + NESTED
        return kernel, kernel.matrix(x, x)

    kernel, matrix = compiled(doubled)(ops.convert_to_tensor(2.0), ops.convert_to_tensor(X))
    np.testing.assert_allclose(to_numpy(kernel.matrix(X, X)), to_numpy(matrix), rtol=1e-5)


def test_kernels_are_immutable():
    with pytest.raises(AttributeError, match="immutable"):
        ExponentiatedQuadratic().amplitude = 2.0


def test_points_that_do_not_fit():
    kernel = ExponentiatedQuadratic()
    with pytest.raises(ValueError, match=r"same number of features.*\(4, 2\) and \(4, 1\)"):
        kernel.matrix(X, X[:, :1])
    with pytest.raises(ValueError, match=r"at least 2 axes.*\(4, 2\) and \(2,\)"):
        kernel.matrix(X, X[0])
    with pytest.raises(ValueError, match=r"scale_diag has 3 scales, the points have 2 features"):
        FeatureScaled(kernel, [1.0, 2.0, 3.0]).matrix(X, X)
    with pytest.raises(ValueError, match=r"apply: points must have at least 1 axes"):
        kernel.apply(1.0, 2.0)
