# Two commands do everything on a fresh machine with Python 3.11+: `make search` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup search test test-all check wheel bench clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(VENV)/.ready ## Make .venv with everything; torch and triton that are there already are kept

$(VENV)/.ready: pyproject.toml scripts/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/setup.sh
	@touch $@

search: setup ## Set up and search the default task: measured on a GPU, else predicted for MI300; no key, no server
	$(BIN)/evo-kernel search --config quick

test: setup ## Set up and run the tests that need no GPU
	$(BIN)/python -m pytest -m "not gpu and not long" -n 3 --dist loadgroup --no-loadscope-reorder

test-all: test ## Run the tests that take half a minute and more as well
	$(BIN)/python -m pytest -m "long and not gpu"

check: setup ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheel: setup ## Build a wheel and try it in an empty environment outside the repository
	sh scripts/try_wheel.sh "$(BIN)/python"

bench: setup ## Print what the search itself costs
	$(BIN)/python benchmarks/engine.py

clean: ## Remove what setup and the tests made
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
