# Two commands do everything: `make demo` and `make test`. All of them make .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?=
SIZE ?= quick
DEMO_DESCRIPTION := an AI system that wants to avoid being shut down

.PHONY: help install demo test check bench clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## everything for development, into .venv

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "installing into $(VENV) (one or two minutes the first time)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[local]' --group dev
	@touch $@

demo: install ## the main job on embedded models: a dataset and a scaling curve
	$(BIN)/mwe discover "$(DEMO_DESCRIPTION)" --name avoids-shut-down --undesired more -n 40 --ladder embedded

test: install ## the tests
	$(BIN)/python -m pytest

check: install ## format, lint, types, layers
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install ## measured figures: BENCH=name SIZE=quick|full
	$(BIN)/python tests/bench/run.py $(BENCH) --size $(SIZE)

clean: ## remove what `install` made
	rm -rf $(VENV) dist build
