"""Pages that a script writes are what it writes, and every row of the benchmark's grids exists."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from cases import CASES

ROOT = Path(__file__).parents[1]
ROWS = {case.name: case for case in CASES}


def load(path):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_families_is_what_its_script_prints():
    page = load(ROOT / "scripts" / "family_table.py").page()
    assert (ROOT / "docs" / "families.md").read_text() == page, (
        "run `python scripts/family_table.py > docs/families.md`"
    )


def test_the_page_of_accuracy_has_every_row():
    text = (ROOT / "docs" / "accuracy.md").read_text()
    missing = [name for name in ROWS if text.count(f"| {name} | ") < 2]
    assert not missing, f"run `python benchmarks/accuracy.py --backend torch`: no {missing}"


def test_the_page_of_agreement_has_every_row_within_its_bound():
    lines = (ROOT / "docs" / "agreement.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "| " in line]
    worst = {row[0]: row for row in rows[1:]}
    missing = set(ROWS) - set(worst)
    assert not missing, f"run `python benchmarks/agreement.py`: no {missing}"
    assert all(float(row[1]) <= 1e-5 and row[3] == "" for row in worst.values())


GRIDS = load(ROOT / "benchmarks" / "grids.py")


@pytest.mark.parametrize("name", sorted(GRIDS.EXTREMES))
def test_extreme_parameters_fit_their_row(name):
    extremes, parameters = GRIDS.EXTREMES[name], ROWS[name].parameters
    assert set(extremes) == set(parameters)
    assert len({len(values) for values in extremes.values()}) == 1
    for key, values in extremes.items():
        assert np.shape(values)[1:] == parameters[key].shape[1:], key


def test_exceptions_name_rows_and_have_reasons():
    for (row, _, dtype), (limit, reason) in GRIDS.EXCEPTIONS.items():
        assert row in ROWS and dtype in ("float32", "float64") and limit > 0.0 and reason
