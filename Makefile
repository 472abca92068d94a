# Two commands on a machine with Python 3.11 or newer (venv, pip) and make: `make demo`, `make test`.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test unit lint bench faults lock clean

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 13

demo: $(READY) ## Run the main job on three real servers, break it, and check every byte
	$(BIN)/storekit demo

test: lint ## Run every check and every test
	$(BIN)/pytest

unit: $(READY) ## Run the tests that need no server
	$(BIN)/pytest -q tests/unit

lint: $(READY) ## Check style, layers and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/pyright

bench: $(READY) ## Measure the hot paths against a fair naive version
	$(BIN)/python -m tests.bench

faults: $(READY) ## Kill writers and servers at every step, the long way
	$(BIN)/pytest tests/faults -m "long or not long"

# Without --no-deps pip would resolve anew and could leave the locked versions.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "storekit needs Python 3.11 or newer")'
	@echo "installing storekit and what it needs into .venv: about a minute"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lock: ## Write requirements.lock: the newest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet uv
	.venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
	    --all-extras --group dev --no-header --no-emit-index-url pyproject.toml --output-file requirements.lock

clean: ## Remove what make has made; data of `storekit up` stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find storekit tests docs -type d -name __pycache__ -prune -exec rm -rf {} +
