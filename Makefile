# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs, once.
#
#   PYTHON=python3.12       the interpreter to build .venv with (default: the first one new enough)
#   PYTHON_ENV=path/to/env  use this ready virtual environment as it is, and set nothing up
#   PYTEST_ARGS="-k gate"   passed on to pytest
#   WORKERS=2               test processes
#   DEMO_OUT=demo-out       where the demo writes
#   BENCH_ARGS="scan --big" which benchmarks, and how large (python benchmarks/run.py --help)

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
WORKERS ?= 2
DEMO_OUT ?= demo-out
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

ifdef PYTHON_ENV
BIN := $(abspath $(PYTHON_ENV))/bin
READY := $(BIN)/python
else
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.installed
endif

# One thread a process: the parallelism is pytest's, and sums come out the same on every machine.
# PYTHONSAFEPATH keeps the source tree off sys.path, so that the tests see what is installed.
TEST_ENV := OMP_NUM_THREADS=1 PYTHONSAFEPATH=1 MPLBACKEND=Agg HF_HUB_OFFLINE=1

.PHONY: help demo test lint format bench clean find-python

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## audit, repair and re-audit a small biased model, offline (writes demo-out/)
	$(if $(filter demo-out,$(DEMO_OUT)),@rm -rf demo-out)
	$(BIN)/fairaudit demo --out "$(DEMO_OUT)" $(DEMO_ARGS)

test: $(READY) ## run the tests
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: $(READY) .types/fairaudit_cli ## style (ruff), types (mypy), layers (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p fairaudit -p fairaudit_mitigate -p fairaudit_cli
	$(BIN)/lint-imports

format: $(READY) ## rewrite the code in the house's format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(READY) ## measure, and write docs/performance.md anew (BENCH_ARGS="scan --big")
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

clean: ## remove everything that make and the tools have made
	rm -rf $(VENV) .types build dist demo-out *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt
	@python=$$($(MAKE) --no-print-directory -s find-python) || exit 1; \
	echo "Setting up $(VENV) with $$python; the first time takes a few minutes." >&2; \
	"$$python" -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[mitigate,dev]'
	@touch $@

# The name of an interpreter that can make the virtual environment, or one sentence why there is none.
find-python:
	@for python in $(if $(PYTHON),"$(PYTHON)",python3 python python3.13 python3.12 python3.11); do \
		if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
		then echo "$$python"; exit 0; fi; \
	done; \
	echo "error: fairaudit needs Python 3.11 or newer with venv and pip, and $(if $(PYTHON),'$(PYTHON)' is none,none was found)" \
		"(python3 here: $$(python3 --version 2>&1 || true)). Install one (on Debian also python3-venv)," \
		"or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

# mypy finds a package by its folder's name, and fairaudit_cli lives in cli/ (see pyproject.toml).
.types/fairaudit_cli:
	@mkdir -p .types
	@ln -sfn ../cli $@
