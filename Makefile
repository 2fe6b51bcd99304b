# `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := render dataset model eval tools
BENCHES := $(filter-out __init__ _%,$(basename $(notdir $(wildcard tools/bench/*.py))))
READY := $(VENV)/.setup-complete

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint format bench

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	    | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: $(READY)  ## make .venv with everything the rest needs (PYTHON=python3.12 picks another Python)

$(READY): setup.cfg pyproject.toml constraints.txt \
          tools/setup/environment.sh tools/setup/system_libraries.sh
	@bash tools/setup/environment.sh "$(VENV)" "$(PYTHON)"
	@bash tools/setup/system_libraries.sh
	@touch $@

demo: setup  ## people, shards, training, scores and a report, in demo-output/
	@$(BIN)/2k2k-demo --out demo-output

test: setup  ## the tests that need neither a GPU nor patience
	@$(BIN)/python -m pytest -m "not slow and not gpu" $(PYTEST_ARGS)

test-slow: setup  ## the tests that take longer
	@$(BIN)/python -m pytest -m "slow and not gpu" --timeout 3600 $(PYTEST_ARGS)

lint: setup  ## linter, formatting, types
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy $(PACKAGES) || status=1; \
	exit $$status

format: setup  ## let ruff put the formatting right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup  ## run every bench; tables on the screen, figures in bench-output/
	@mkdir -p bench-output
	@for name in $(BENCHES); do \
	    $(BIN)/python -m tools.bench.$$name --json bench-output/$$name.json || exit 1; \
	done
