# One command a purpose; each makes the environment it needs and is fast the second time.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
NEUROCIRCUIT_TEST_WORKERS ?= 2

# brian2cuda 1.0a7 works with the last Brian2 for Python 3.11, but its metadata names an older one.
CUDA_ON_311 = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
	$(BIN)/pip install --quiet --no-deps brian2cuda==1.0a7

.PHONY: help mely test test-slow docs lint types bench cuda-check sims-quick clean

help:
	@echo "make mely        install, run the Mely circuit, and say where the figure is"
	@echo "make test        install and run all tests but the slow ones"
	@echo "make test-slow   also the tests that take minutes"
	@echo "make docs        build the documentation, warnings as errors"
	@echo "make lint        ruff"
	@echo "make types       mypy"
	@echo "make bench       run the benchmarks"
	@echo "make cuda-check  generate, compile and link the CUDA program; no GPU needed"
	@echo "make sims-quick  run every script in sims/ with --quick"

# A stamp a set of extras: reinstalled when setup.cfg changes.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.test: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[test,cuda]'
	$(CUDA_ON_311)
	touch $@ $(VENV)/.run

$(VENV)/.dev: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[dev,cuda]'
	$(CUDA_ON_311)
	touch $@ $(VENV)/.test $(VENV)/.run

$(VENV)/.cuda: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[test,cuda,nvcc]'
	$(CUDA_ON_311)
	touch $@ $(VENV)/.test $(VENV)/.run

mely: $(VENV)/.run
	$(BIN)/python sims/mely_circuit.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(NEUROCIRCUIT_TEST_WORKERS)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest --slow

# The pages of names that no longer exist would stay behind in docs/generated.
docs: $(VENV)/.dev
	rm -rf docs/generated
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

sims-quick: $(VENV)/.run
	@set -e; for script in sims/*.py; do \
	  echo "$$script --quick"; $(BIN)/python $$script --quick --output outputs/quick/$$(basename $$script .py); \
	done

bench: $(VENV)/.run
	@set -e; for script in torch_step brian_pools devices hgru_step lateral_conv pathfinder ctrnn_step rank_rule locally_connected clutter \
	  recurrent_recogniser decoding; do \
	  echo "benchmarks/$$script.py"; $(BIN)/python benchmarks/$$script.py; \
	done

cuda-check: $(VENV)/.cuda
	$(BIN)/python -m pytest --slow tests/simulation/test_cuda.py

clean:
	rm -rf outputs docs/_build docs/gallery docs/tutorials/lessons docs/generated build *.egg-info
