"""The rules of the layout, checked on the sources and on what an import does."""

import ast
import importlib
import inspect
import json
import os
import re
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "timedist"

# Imports go downward or stay on a level. A leaf is imported by the top only.
LEVELS = {
    "ops": 0,
    "checks": 1,
    "scores": 1,
    "distributions": 1,
    "layers": 2,
    "targets": 2,
    "losses": 2,
    "metrics": 2,
    "prediction": 2,
    "interop": 2,
    "sequence": 3,
    "datasets": 3,
    "plotting": 3,
    "parallel": 3,
    "testing": 3,
    "": 3,  # timedist itself, which gathers the public names
    "forecasting": 4,
    "__main__": 5,
}
# What families share is in their parents.
PARENTS = ("Distribution", "LocationScale", "Symmetric", "Pushforward", "Integers", "Counts")
# A process over a whole sequence is filtered, smoothed and drawn step by step: more than a family.
PROCESSES = ("hidden_markov", "random_walks", "state_space")
LEAVES = ("datasets", "plotting", "parallel", "testing")
BACKENDS = ("jax", "tensorflow", "torch", "numpyro", "tensorflow_probability", "jaxlib")
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_MEDIAN_FAMILY = 500, 60, 25


def module_name(path):
    """`timedist.layers.heads` from its file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def area(module):
    """The first name under `timedist`, by which the level is known."""
    return [*module.split("."), ""][1]


def test_nothing_that_autograph_can_not_read():
    """TensorFlow warns of each function with `:=` that a user's `tf.function` calls."""
    numerical = [m for m in MODULES if area(m) not in ("forecasting", "testing")]
    trees = {module: ast.walk(ast.parse(MODULES[module].read_text())) for module in numerical}
    assert not [m for m, t in trees.items() if any(isinstance(n, ast.NamedExpr) for n in t)]


@cache
def tree(path):
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


@cache
def imports(path):
    """Dotted names of all imports of a file, those inside functions included, as `(line, name)`."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def own_imports(module):
    """The modules of the package that a module imports."""
    for line, name in imports(MODULES[module]):
        if name.split(".")[0] == "timedist":
            target = name if name in MODULES else name.rpartition(".")[0]
            assert target in MODULES, f"{module}:{line} imports {name}, which is not there"
            yield line, target


def python_files():
    """All Python files of the repository."""
    folders = ("src", "tests", "examples", "benchmarks", "scripts", "docs")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_module_has_a_level():
    assert {area(module) for module in MODULES} <= set(LEVELS)


def test_imports_go_downward():
    wrong = [
        f"{module}:{line} imports {target}"
        for module in MODULES
        for line, target in own_imports(module)
        if LEVELS[area(target)] > LEVELS[area(module)]
    ]
    assert not wrong, wrong


def test_leaves_and_the_package_itself_are_imported_by_the_top_only():
    wrong = [
        f"{module}:{line} imports {target}"
        for module in MODULES
        for line, target in own_imports(module)
        if area(target) in (*LEAVES, "") and area(target) != area(module)
        if LEVELS[area(module)] < LEVELS["forecasting"]
    ]
    assert not wrong, wrong


def test_nobody_imports_forecasting():
    importers = {
        area(module)
        for module in MODULES
        for _, target in own_imports(module)
        if area(target) == "forecasting"
    }
    assert importers <= {"forecasting", "__main__"}


def test_no_import_cycle():
    graph = {module: {target for _, target in own_imports(module)} for module in MODULES}
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            path.append(module)
            for target in sorted(graph[module] - {module}):
                visit(target)
            path.pop()
            done.add(module)

    for module in graph:
        visit(module)


def test_keras_internals_are_seen_by_one_file():
    seen = {
        module
        for module, path in MODULES.items()
        for _, name in imports(path)
        if name == "keras.src" or name.startswith("keras.src.")
    }
    assert seen <= {"timedist.ops.compat"}
    used = [m for m, p in MODULES.items() if re.search(r"keras\.src\.\w+\(", p.read_text())]
    assert not used


def test_backends_are_seen_under_ops_only():
    wrong = [
        f"{module}:{line} imports {name}"
        for module, path in MODULES.items()
        if area(module) != "ops"
        for line, name in imports(path)
        if name.split(".")[0] in BACKENDS
    ]
    assert not wrong, wrong


def test_ops_import_no_backend_at_the_top():
    allowed = "timedist.ops.tracing"  # which only TensorFlow users load
    wrong = [
        module
        for module, path in MODULES.items()
        if module != allowed
        for node in tree(path).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] in BACKENDS
    ]
    assert not wrong, wrong


def test_no_file_is_too_long():
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in python_files()}
    assert not {name: n for name, n in lengths.items() if n > LONGEST_FILE}


def test_no_function_is_too_long():
    wrong = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in python_files()
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert not wrong


def lines_of_code(node):
    """The lines of a class that are neither docstring, comment nor empty."""
    kept = set()
    docstrings = {
        id(part.body[0])
        for part in ast.walk(node)
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(part)
    }
    for part in ast.walk(node):
        if isinstance(part, ast.stmt) and id(part) not in docstrings:
            simple = not hasattr(part, "body")
            kept.update(range(part.lineno, (part.end_lineno if simple else part.lineno) + 1))
    return len(kept)


def test_families_are_short():
    from timedist import distributions

    lengths = {
        node.name: lines_of_code(node)
        for module, path in MODULES.items()
        if module.startswith("timedist.distributions.") and not module.endswith(PROCESSES)
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and node.name in distributions.__all__
        if node.name not in PARENTS
    }
    middle = statistics.median(lengths.values())
    print(f"median {middle} lines of code in {len(lengths)} families: {lengths}")
    assert middle <= LONGEST_MEDIAN_FAMILY


def public_objects():
    """Everything reached by `__all__`, once, as `(dotted name, object)`."""
    seen = {}
    for module in MODULES:
        if module == "timedist.ops.tracing" or module.endswith("__main__"):
            continue
        loaded = importlib.import_module(module)
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                seen[f"{value.__module__}.{value.__qualname__}"] = value
    return sorted(seen.items())


def test_every_public_name_is_documented():
    missing = []
    for name, value in public_objects():
        if not name.startswith("timedist."):
            continue
        if not (value.__doc__ or "").strip():
            missing.append(name)
        if inspect.isclass(value):
            missing += [
                f"{name}.{key}"
                for key, member in vars(value).items()
                if not key.startswith("_")
                if inspect.isfunction(member)
                or isinstance(member, (property, classmethod, staticmethod))
                if not inspect.getdoc(getattr(value, key))
            ]
    assert not missing, missing


def test_every_module_and_its_public_parts_are_documented():
    kinds = (ast.FunctionDef, ast.ClassDef)
    missing = [
        f"{module}.{getattr(node, 'name', '')}"
        for module, path in MODULES.items()
        for node in (tree(path), *tree(path).body)
        if isinstance(node, ast.Module)
        or (isinstance(node, kinds) and not node.name.startswith("_"))
        if not ast.get_docstring(node)
    ]
    assert not missing, missing


def test_every_exported_name_exists():
    for module in MODULES:
        if module != "timedist.ops.tracing" and not module.endswith("__main__"):
            loaded = importlib.import_module(module)
            for name in getattr(loaded, "__all__", ()):
                assert hasattr(loaded, name), f"{module}.{name}"


def test_no_path_of_a_developers_machine():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"(?<![\w.])/wor[k]/|(?<![\w-])share[d]/|/roo[t]/|/home/\w")
    wrong = [
        name
        for name in listed.stdout.splitlines()
        if (ROOT / name).is_file() and pattern.search((ROOT / name).read_bytes())
        if (ROOT / name).suffix
        in ("", ".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".cfg", ".sh")
    ]
    assert not wrong, wrong


PROBE = """
import json, logging, os, sys, warnings, random
import numpy, keras
if keras.backend.backend() == "torch":
    import torch
if keras.backend.backend() == "jax":
    import jax

def state():
    classes = (keras.Model, keras.Layer, keras.Sequential, keras.KerasTensor, keras.losses.Loss,
               keras.layers.TimeDistributed, keras.layers.Lambda, keras.metrics.Metric)
    found = {
        "environment": sorted(os.environ.items()),
        "handlers": [repr(h) for h in logging.root.handlers],
        "levels": sorted((n, l.level, len(l.handlers), l.propagate)
                         for n, l in logging.Logger.manager.loggerDict.items()
                         if isinstance(l, logging.Logger) and not n.startswith("timedist")),
        "root level": logging.root.level,
        "warnings": [repr(f) for f in warnings.filters],
        "keras": [keras.config.floatx(), keras.config.backend(), keras.config.epsilon(),
                  keras.config.image_data_format(), repr(keras.config.dtype_policy())],
        "numpy": [repr(numpy.geterr()), repr(numpy.get_printoptions())],
        "random": [hash(random.getstate()), numpy.random.get_state()[2]],
        "path": list(sys.path),
        "hooks": [repr(sys.excepthook), repr(sys.displayhook)],
        "classes": [sorted((k, id(v)) for k, v in vars(c).items()) for c in classes],
    }
    if keras.backend.backend() == "torch":
        found["torch"] = [torch.is_grad_enabled(), str(torch.get_default_dtype()),
                          torch.get_num_threads(), str(torch.get_default_device()),
                          torch.initial_seed()]
    if keras.backend.backend() == "jax":
        found["jax"] = sorted((k, repr(v)) for k, v in jax.config.values.items())
    return found

before, modules = state(), set(sys.modules)
import timedist
after = state()
changed = [key for key in before if before[key] != after[key]]
heavy = ("pandas", "polars", "matplotlib", "scipy", "typer", "rich", "narwhals",
         "tensorflow_probability", "numpyro", "timedist.forecasting", "timedist.plotting")
other = [b for b in ("jax", "tensorflow", "torch") if b != keras.backend.backend()]
new = set(sys.modules) - modules
print(json.dumps({"changed": changed, "loaded": [n for n in (*heavy, *other) if n in new]}))
"""


def test_import_has_no_side_effect():
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"changed": [], "loaded": []}
