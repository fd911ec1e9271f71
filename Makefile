# Two commands do everything on a machine with Python 3.11 and make:
#   make demo   installs TimeDist on JAX into .venv and forecasts real data
#   make test   installs all three backends into .venv-test and runs every test on each

PYTHON ?= python3
BACKENDS = jax tensorflow torch
# Two workers fit two cores; more would only compete for them.
WORKERS ?= 2

.PHONY: help demo test lint $(addprefix test-,$(BACKENDS)) benchmark clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3

demo: .venv/.ready
	.venv/bin/timedist demo --backend jax --output demo

test: lint $(addprefix test-,$(BACKENDS))

$(addprefix test-,$(BACKENDS)): test-%: .venv-test/.ready
	.venv-test/bin/python -m pytest --backend $* -q -n $(WORKERS) --dist loadgroup

lint: .venv-test/.ready
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy

benchmark: .venv-test/.ready
	for backend in $(BACKENDS); do \
		KERAS_BACKEND=$$backend .venv-test/bin/python benchmarks/time_distributed.py || exit 1; \
	done

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[jax,forecast]'
	touch $@

# torch comes first and alone: asked for later, another package may bring a build with CUDA.
.venv-test/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-test/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

clean:
	rm -rf .venv .venv-test demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
