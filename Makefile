# The two commands of a fresh machine: `make eval`, then `make test`. On Windows see README.md.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: eval test check bench seal

# Loop A on the frozen rollouts. Needs no torch.
eval: .venv/.core
	$(BIN)/python -m course.eval --dataset data/datasets/math_dev.jsonl --completions data/rollouts/frozen_rollouts_dev.jsonl

# All tests, with everything installed that they need.
test: .venv/.all
	$(BIN)/python -m pytest

# Style and types.
check: .venv/.all
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Speed and memory, as ratios within one run.
bench: .venv/.all
	$(BIN)/python -m bench.scoring
	$(BIN)/python -m bench.learning
	$(BIN)/python -m bench.report

# For teachers: seal the core as it stands.
seal: .venv/.core
	$(BIN)/python -m course.seal --renew

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make eval PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.core: .venv/.python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

.venv/.all: .venv/.core
	$(INSTALL) --editable '.[policy,dev]'
	@touch $@
