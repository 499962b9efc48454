PYTHON ?= python3
BIN := .venv/bin

.PHONY: install dev lock up demo
install: .venv/installed
dev: .venv/installed-dev

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

lock: ## needs uv
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra embedded --extra build --extra dev --generate-hashes --no-header --no-annotate -q -o requirements-dev.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra embedded --extra build -c requirements-dev.lock --generate-hashes --no-header --no-annotate -q -o requirements.lock
