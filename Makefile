# Two commands on a machine with Python 3.11 or newer (venv, pip) and make: `make demo`, `make test`.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEER := .venv/.bench
COMPILE := .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
    --no-header --no-emit-index-url
POSTGRES_15 := /usr/lib/postgresql/15/bin
SQL := $(filter-out tests/security/test_hostile_%,$(wildcard tests/security/test_*.py)) \
    $(wildcard $(patsubst %,tests/integration/test_%.py,sql_* schema_* pgtap walls isolation* unit_leftovers))
# Three workers for two cores: many tests wait, for a server's start or for a time-out.
WORKERS ?= 3
# The order of files is that of tests/conftest.py: the long ones first.
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Images of containers set it. Each worker and each command of a test would then compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test suite test-matrix unit generate lint docs bench faults mirror lock clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(READY) ## Run the main job on three real servers, break it, and check every byte
	$(BIN)/storekit demo

# Both at once: mypy alone takes half a minute of one core. The output of lint comes in one piece, when it has ended.
test: $(READY) ## Run every check and every test
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint suite

# `+` shows the progress of the tests: make does not hold back such output.
suite: $(READY)
	+$(PYTEST)

test-matrix: $(READY) ## Run the contract on Postgres 15 and 18 and behind PgBouncer: apt-get install postgresql-15 pgbouncer
	$(PYTEST) --matrix tests/contract
	STOREKIT_TEST_PG_BIN=$(POSTGRES_15) $(PYTEST) $(SQL)

# In one process: to start workers takes longer than they save.
unit: $(READY) ## Run the tests that need no server
	$(BIN)/pytest -q tests/unit

generate: $(READY) ## Write the sync API from the async one
	$(BIN)/python tools/generate_sync.py

lint: $(READY) ## Check style, layers, types, migrations and that the sync API is up to date
	$(BIN)/python tools/generate_sync.py --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/storekit migrate lint --line agency
	$(BIN)/squawk 'schemas/postgres/migrations/**/*.sql'

docs: $(READY) ## Build the documentation as HTML in build/docs; warnings are errors
	@echo "building the documentation in build/docs: about half a minute"
	$(BIN)/python docs/_tools/architecture.py
	$(BIN)/sphinx-build -q -n -W --keep-going docs build/docs

bench: $(PEER) ## Measure the hot paths against a fair naive version and a peer
	$(BIN)/python -m tests.bench

faults: $(READY) ## Kill writers and servers at every step, the long way; import 600,000 trades; sign 10,000 requests
	$(PYTEST) -m "long or not long" --hypothesis-profile thorough tests/faults tests/acceptance/test_examples.py tests/generated tests/unit

# Without --no-deps pip would resolve anew and could leave the locked versions.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "storekit needs Python 3.11 or newer")'
	@echo "installing storekit and what it needs into .venv: about a minute"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# The peer is heavy and the bench's alone. The constraint refuses what would move a version that is locked above.
$(PEER): $(READY) tests/bench/requirements.lock
	@echo "installing the peer of the bench into .venv"
	$(BIN)/python -m pip install --quiet --no-deps --constraint requirements.lock \
	    --requirement tests/bench/requirements.lock
	touch $@

mirror: $(READY) ## Renew schemas/postgres/mirror from the migrations
	$(BIN)/python -m tests.support.shipped

lock: ## Write both lock files: the newest versions that are allowed, the bench's as the project's
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet uv
	$(COMPILE) --all-extras --group dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock tests/bench/requirements.in --output-file tests/bench/requirements.lock

clean: ## Remove what make has made; data of `storekit up` stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find storekit tests docs -type d -name __pycache__ -prune -exec rm -rf {} +
