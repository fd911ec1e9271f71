"""The blocks of a structural model: what moves, what is seen, and what is refused."""

import numpy as np
import pytest
from helpers import to_numpy
from keras import ops

from timedist.sequence.structure import Structure


def test_blocks_of_a_trend_and_two_periods():
    structure = Structure("A model", True, True, [2, 3])
    assert (structure.states, structure.shocks, structure.seasonal) == (7, 4, (2, 3))
    seasons = ops.convert_to_tensor(np.array([[[3, 4], [-2, -1]]]))
    present = structure.present(seasons, "float32")
    np.testing.assert_array_equal(
        to_numpy(present), [[[1, 1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0, 1]]]
    )
    observation, selection = (
        to_numpy(f(present)) for f in (structure.observation, structure.selection)
    )
    np.testing.assert_array_equal(
        observation[0, :, 0], [[1, 0, 0, 1, 0, 1, 0], [1, 0, 1, 0, 0, 0, 1]]
    )
    expected = np.zeros((7, 4))
    expected[[0, 1, 3, 5], [0, 1, 2, 3]] = 1.0
    np.testing.assert_array_equal(selection[0, 0], expected)
    np.testing.assert_allclose(structure.units(), [1.0, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(structure.shock_units(), [1.0, 0.1, 1.0, 1.0])


def test_the_level_moves_by_the_slope_where_time_passes():
    structure, level = Structure("A model", True, True, ()), Structure("A model", True, False, ())
    moved = np.array([[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(to_numpy(structure.transition(None, "float32")), moved)
    real = ops.convert_to_tensor(np.array([[True, False]]))
    found = to_numpy(structure.transition(real, "float32"))
    np.testing.assert_array_equal(found, [[moved, np.eye(2)]])
    np.testing.assert_array_equal(to_numpy(level.transition(real, "float32")), np.eye(1))
    np.testing.assert_array_equal(to_numpy(structure.present(None, "float32")), [1.0, 1.0])


def test_seasons_alone():
    structure = Structure("A model", False, False, (3,))
    present = structure.present(ops.convert_to_tensor([[[1]]]), "float32")
    np.testing.assert_array_equal(to_numpy(structure.observation(present)), [[[[0, 1, 0]]]])
    np.testing.assert_array_equal(to_numpy(structure.selection(present))[0, 0], [[0], [1], [0]])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ((False, False, ()), ValueError, ("level", "period")),
        ((False, True, (4,)), ValueError, ("trend", "level")),
        ((1, False, ()), TypeError, ("level", "True or False", "1")),
        ((True, None, ()), TypeError, ("trend", "True or False", "None")),
        ((True, False, 7), TypeError, ("seasonal", "tuple", "7")),
        ((True, False, (7, 1)), ValueError, ("period", ">= 2", "1")),
        ((True, False, (7.0,)), ValueError, ("period", "int", "7.0")),
    ],
)
def test_wrong_arguments(given, error, words):
    with pytest.raises(error) as caught:
        Structure("A model", *given)
    assert all(word in str(caught.value) for word in ("A model", *words)), caught.value
