"""What the tests of heads share."""

from helpers import to_numpy

from timedist.distributions import Distribution


def nested(distribution):
    """The distribution and all it is made of."""
    yield distribution
    for child in distribution._children():
        if isinstance(child, Distribution):
            yield from nested(child)


def all_rows_hold(distribution):
    """Every parameter of the distribution and its components is a valid one."""
    checked = 0
    for part in nested(distribution):
        for row in type(part)._parameters():
            value = part._values[row.name]
            if value is not None:
                assert to_numpy(row.constraint.holds(value)).all(), (part, row.name)
                checked += 1
    assert checked


def parameters(distribution):
    """Parameters of a distribution by name, as NumPy arrays."""
    return {
        row.name: to_numpy(distribution._values[row.name])
        for row in type(distribution)._parameters()
        if distribution._values[row.name] is not None
    }
