# Every target builds the environment it needs first; `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve worker test check bench pictures messages lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11) and "Keyturn needs Python 3.11 or later.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.runtime ## build .venv from the lock
setup-dev: $(VENV)/.dev ## the same, with what the tests and checks need

demo: setup ## a portal with a small cast, a phone and a mailbox, on this machine
	@$(BIN)/keyturn demo

serve: setup ## the portal, its store and its worker, from config/ and KEYTURN_… settings
	@$(BIN)/keyturn serve

worker: setup ## the sender of messages alone
	@$(BIN)/keyturn worker

test: setup-dev ## every test, on real parts (installs what it lacks when run as root)
	@$(BIN)/python -m tests.prepare
	@$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup-dev ## format, lint, types, import directions, messages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.messages --check

bench: setup-dev ## what things cost, as ratios measured side by side
	@$(BIN)/python -m tests.bench

pictures: setup-dev ## take the README's pictures anew
	@$(BIN)/python -m tests.browser.pictures

messages: setup-dev ## extract the sentences, merge them into the catalogues, compile
	@$(BIN)/python -m tests.messages

lock: ## resolve the dependencies anew into the two hashed locks (needs uv)
	uv lock --quiet
	uv export -q --no-emit-project --all-extras --no-dev --no-header --no-annotate -o requirements.lock
	uv export -q --no-emit-project --all-extras --no-header --no-annotate -o requirements-dev.lock
	rm -f uv.lock

clean: ## remove what the targets made, but not the data in var/
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
