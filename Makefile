# Every command of the project. Run `make` to list them.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-unit test-compose test-compose-quick soak soak-scheduler fuzz bench bench-quick bench-floor bench-peers bench-growth bench-authorization lint format types layers check ajc-page constraints image-pins nats-accounts secrets clean
SHELL := /bin/bash

PYTHON ?= python3
DEMO_PATH ?= .
MINUTES ?= 3
BIN := .venv/bin
MEMBERS := packages/protocol packages/client packages/runtime packages/testing packages/ajobs services/worker services/scheduler services/admin
STAMP := .venv/.installed

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with all dependencies at pinned versions

$(STAMP): constraints.txt $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ajobs needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing pinned packages into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@

demo: setup ## Digest the files of a folder and report on them: make demo DEMO_PATH=folder
	@$(BIN)/python -m examples.demo $(DEMO_PATH)

dev: setup ## Run NATS, a worker, a scheduler and the API until Ctrl-C: make dev AJ_ROUTER=module:name
	@$(BIN)/ajc dev $(or $(AJ_ROUTER),examples.demo.tasks:router)

test: setup ## Run all tests against real nats-servers
	@$(BIN)/python -m pytest --numprocesses 2

test-unit: setup ## Run the tests that need no server
	@$(BIN)/python -m pytest packages/*/tests/unit services/*/tests/unit tests/unit tests/vectors tests/fuzz

lint: setup ## Check for mistakes and style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Format the code
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

types: setup ## Check types in strict mode
	@$(BIN)/basedpyright

layers: setup ## Check the import rules
	@$(BIN)/lint-imports --no-cache

check: lint types layers test ## Run lint, types, layers and all tests, as CI does

bench-authorization: setup ## Compare the presets `isolated` and `trusted` of NATS accounts
	@$(BIN)/python -m benchmarks.authorization

soak: setup ## Stress-test workers: kill them at random under load, MINUTES=3
	@$(BIN)/python -m tests.soak $(MINUTES)

fuzz: setup ## Fuzz every parser of outside text, MINUTES=3
	@$(BIN)/python -m tests.fuzz $(MINUTES)

soak-scheduler: setup ## Stress-test schedulers: kill and pause them, MINUTES=4
	@$(BIN)/python -m tests.soak.schedules $(MINUTES)

test-compose-quick: setup ## Test the stack in Docker: build, up, enqueue, scale
	@$(BIN)/python -m tests.compose quick

test-compose: setup ## Test the stack in Docker, with killed containers and the cluster
	@$(BIN)/python -m tests.compose full

bench: setup ## Run all benchmarks next to other queues and write benchmarks/results
	@$(BIN)/python -m benchmarks

bench-quick: setup ## Run all benchmarks with small numbers
	@$(BIN)/python -m benchmarks --quick

bench-floor: setup ## Compare enqueuing and processing with a bare loop
	@$(BIN)/python -m benchmarks.floor

bench-peers: setup ## Compare with other job queues, each in its own environment
	@$(BIN)/python -m benchmarks peers

bench-growth: setup ## Measure as the store, queues, slots and schedules grow
	@$(BIN)/python -m benchmarks growth

ajc-page: setup ## Update the output in docs/ajc.md from real runs
	@$(BIN)/python -m scripts.page docs/ajc.md

constraints: setup ## Update constraints.txt to the newest versions, with hashes
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv export --quiet --upgrade --all-packages --all-groups --all-extras --no-emit-workspace \
		--no-header --no-annotate --output-file constraints.txt
	@rm -f uv.lock
	@$(MAKE) --no-print-directory image-pins

image-pins: setup ## Update deploy/image/*.txt from constraints.txt
	@$(BIN)/python -m scripts.pin_image

nats-accounts: ## Update deploy/nats/accounts-*.conf and the tables of docs/authorization.md
	@$(PYTHON) -m scripts.nats_accounts

secrets: ## Create ./secrets for `docker compose up`: PRESET=isolated (default) or trusted
	@$(PYTHON) -m scripts.make_secrets $(if $(PRESET),--preset $(PRESET))

clean: ## Remove .venv and caches
	@rm -rf .venv .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
