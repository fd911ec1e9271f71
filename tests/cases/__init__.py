"""The table of families: one row gives a family every contract test.

A row says how to build the distribution from named float64 arrays, how to build its SciPy twin from
the same arrays, and whatever is special about it, with the reason beside the exception.
"""

from cases import bounded, counts, nonparametric, positive, real_line, vectors, wrappers

GROUPS = (real_line, positive, bounded, counts, vectors, nonparametric, wrappers)
CASES = tuple(case for group in GROUPS for case in group.CASES)
