# Three commands do everything on a machine with Python 3.11 and make:
#   make demo   installs TimeDist on JAX into .venv and forecasts real data
#   make test   installs all three backends into .venv-test and runs every test on each
#   make benchmark  installs the peers into .venv-bench and writes docs/performance.md

PYTHON ?= python3
BACKENDS = jax tensorflow torch
# Two workers fit two cores; more would only compete for them.
WORKERS ?= 2

# Most modules of the backends are never imported, so pip compiles none; what is imported must be
# kept compiled, or every process compiles it again.
unexport PYTHONDONTWRITEBYTECODE
QUICKLY = --quiet --disable-pip-version-check --no-compile

.PHONY: help demo test lint $(addprefix test-,$(BACKENDS)) benchmark clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -4

demo: .venv/.ready
	.venv/bin/timedist demo --backend jax --output demo

test: lint $(addprefix test-,$(BACKENDS))

$(addprefix test-,$(BACKENDS)): test-%: .venv-test/.ready
	.venv-test/bin/python -m pytest --backend $* -q -n $(WORKERS) --dist loadgroup

lint: .venv-test/.ready
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy

benchmark: .venv-bench/.ready
	.venv-bench/bin/python -m benchmarks --page docs/performance.md

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[jax,forecast]'
	touch $@

# torch comes first and alone: asked for later, another package may bring a build with CUDA.
.venv-test/.ready .venv-bench/.ready: .venv-%/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install $(QUICKLY) torch==2.13.0
	$(@D)/bin/python -m pip install $(QUICKLY) -e '.[$*]'
	touch $@

clean:
	rm -rf .venv .venv-test .venv-bench demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
