"""The comparisons name functions that exist, and renew their page without losing the rest."""

import importlib
import inspect

import pytest

from benchmarks.__main__ import HEADER, MODULES, renewed
from benchmarks.pairs import Pair, Result, Side, exponent

SECTIONS = [section for module in MODULES for section in module.sections()]


def calls():
    """Paths and arguments of all sides."""
    for section in SECTIONS:
        for pair in section.pairs:
            yield from ((side.path, side.arguments) for side in (pair.ours, pair.theirs))
        for curve in section.curves:
            yield curve.side.path, {**curve.side.arguments, "sizes": curve.sizes}


def test_every_side_is_a_function_that_takes_its_arguments():
    found = list(calls())
    for path, arguments in found:
        module, name = path.split(":")
        inspect.signature(getattr(importlib.import_module(module), name)).bind(**arguments)
    assert len(found) > 100


def test_titles_are_distinct():
    titles = [section.title for section in SECTIONS]
    assert len(set(titles)) == len(titles)


def test_a_page_is_renewed_section_by_section():
    page = renewed(renewed(HEADER, "A", "\n## A\n\nfirst\n"), "B", "\n## B\n\nsecond\n")
    assert page.startswith(HEADER.rstrip()) and page.endswith("## B\n\nsecond\n")
    again = renewed(page, "A", "\n## A\n\nthird\n")
    assert again == page.replace("first", "third")


def test_a_line_says_whether_the_ratio_was_reached():
    sides = Side("a", "m:f"), Side("b", "m:g")
    runs = ((0.008, 0.01), (0.018, 0.02), (0.009, 0.009))  # the second in a slow moment
    lines = [Result(Pair("x", *sides, most, per=2), runs).row() for most in (0.9, 0.5, None)]
    assert lines[0] == "| x | 4.5 ms | 5 ms (b) | 0.90 | 0.9 | yes |"
    assert lines[1].endswith("| 0.5 | no |") and lines[2].endswith("|  |  |")


def test_exponents():
    sizes = (1, 10, 100, 1000)
    assert exponent(sizes, [9.0, 9.0, *(0.1 * n**1.5 for n in sizes[2:])]) == pytest.approx(1.5)
