# `make demo` and `make test` need only Python (3.11 to 3.13) and make; they set up `.venv` first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint check bench fuzz test-oldest-lark format clean

demo: $(READY)  ## show what works: a chain, parsed, checked and drawn
	$(BIN)/python examples/first_chain.py

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest -n auto -q

lint: $(READY)  ## style, types and floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/chainlang fmt --check examples/*.chain

test-oldest-lark: $(READY)  ## the notation's tests on the oldest lark that is supported
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install -q -e ".[dev]" "lark==1.2.2"
	$(VENV)-oldest/bin/python -m pytest -n auto -q tests/notation tests/laws

check: lint demo test test-oldest-lark  ## everything that CI runs

bench: $(READY)  ## the tables of benchmarks/README.md
	$(BIN)/python -m benchmarks

fuzz: $(READY)  ## the long fuzz run: COUNT inputs into each entry
	$(BIN)/python -m tests.fuzz $(or $(COUNT),10000000)

format: $(READY)  ## lay out the code and the chains
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/chainlang fmt examples/*.chain

clean:
	rm -rf $(VENV) $(VENV)-oldest build dist

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "chainlang needs Python 3.11 to 3.13; choose one with: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e ".[dev]"
	touch $@
