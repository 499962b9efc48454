PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install dev up demo audit check events test test-long test-compose bench city lock clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: .venv/installed ## the locked dependencies, in .venv
dev: .venv/installed-dev ## and those for working on it

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("需要 Python 3.11 或更新 / Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3-venv is missing" >&2; exit 1; }
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

up: install ## the whole platform on this machine; Ctrl-C stops it
	@exec $(BIN)/jinguo up

demo: install ## 2,000 households sign, 200 patients are referred; the dashboards must agree
	@$(BIN)/jinguo demo

audit: install ## recompute every projection; drift must be 0
	@$(BIN)/jinguo audit

check: dev ## format, lint, types, import rules, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/jinguo events --check
	$(BIN)/jinguo access --check
	$(BIN)/jinguo deploy --check

events: install ## write docs/events, docs/access.md and the deployment's parts from the code
	@$(BIN)/jinguo events
	@$(BIN)/jinguo access
	@$(BIN)/jinguo deploy

test: dev ## everything but the long and the compose tests; three workers keep two cores busy
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder

test-long: dev ## faults for 300 s and more each
	$(BIN)/python -m pytest -q -m long --timeout 3600

test-compose: dev ## the compose file, for real; needs a Docker engine
	$(BIN)/python -m pytest -q -m compose --timeout 1200

bench: dev ## measure the figures and write docs/benchmarks.md
	$(BIN)/python -m bench

city: dev ## all 916,430 households sign
	$(BIN)/python -m bench.city

lock: ## resolve the dependencies again; needs uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra embedded --extra build --extra dev --generate-hashes --no-header --no-annotate -q -o requirements-dev.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra embedded --extra build -c requirements-dev.lock --generate-hashes --no-header --no-annotate -q -o requirements.lock

clean: ## remove the environment and caches, not the data
	rm -rf .venv .cache .mypy_cache .ruff_cache
