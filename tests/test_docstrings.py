"""Every example of a docstring and of the README runs and gives what it says."""

import doctest
import importlib
import re
from pathlib import Path

import pytest
from helpers import BACKEND

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "timedist"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem != "__main__"
]
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, tmp_path, monkeypatch):
    if name == "timedist.ops.tracing" and BACKEND != "tensorflow":
        pytest.skip("for TensorFlow only")
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    report = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_some_docstrings_have_examples():
    texts = [path.read_text() for path in PACKAGE.rglob("*.py")]
    assert sum(">>>" in text for text in texts) >= 10


@pytest.mark.parametrize("page", ["README.md", "docs/own_family.md"])
def test_pages(page, tmp_path, monkeypatch):
    blocks = FENCE.findall((ROOT / page).read_text())
    if not blocks:
        pytest.skip(f"{page} has no Python blocks")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
