# What a developer runs; .ci/run does the same from nothing. VENV names another environment.
VENV ?= .venv
PYTHON ?= python3
BIN = $(abspath $(VENV))/bin

.PHONY: develop test lint sanitize bench clean

develop: # an environment with mrcore built in place; again after a change to csrc/ or a .pyx
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[test,lint]'

test:
	$(BIN)/pytest -q

lint:
	$(BIN)/ruff check .
	$(BIN)/mypy

sanitize:
	PYTHON=$(BIN)/python bash tests/sanitize/run

bench: # each kernel on small input, once over; benchmarks/README.md has the large ones
	$(BIN)/pytest -q -s --dist=no benchmarks/kernels --benchmark-only --benchmark-columns=min,median,rounds

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find mrcore -name '*.so' -delete
	find . -name __pycache__ -prune -exec rm -rf {} +
