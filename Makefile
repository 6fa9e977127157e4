# Every command of the project. `make` alone shows them.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-unit test-compose test-compose-quick soak soak-scheduler bench bench-quick bench-floor bench-peers bench-growth lint format types layers check ajc-page constraints image-pins secrets clean
SHELL := /bin/bash

PYTHON ?= python3
DEMO_PATH ?= .
MINUTES ?= 3
BIN := .venv/bin
MEMBERS := packages/protocol packages/client packages/runtime packages/testing packages/ajobs services/worker services/scheduler services/admin
STAMP := .venv/.installed

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything that is needed, at pinned versions

$(STAMP): constraints.txt $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the pinned packages into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@

demo: setup ## Run the main job on real files: make demo DEMO_PATH=folder
	@$(BIN)/python -m examples.demo $(DEMO_PATH)

dev: setup ## Keep the whole stack running until Ctrl-C: make dev AJ_ROUTER=module:name AJ_WORK_QUEUE=NAME
	@$(BIN)/ajc dev $(or $(AJ_ROUTER),examples.demo.tasks:router)

test: setup ## Run all tests, against real nats-servers
	@$(BIN)/python -m pytest --numprocesses 2

test-unit: setup ## Run the tests that need no server
	@$(BIN)/python -m pytest packages/*/tests/unit services/*/tests/unit tests/unit tests/vectors

lint: setup ## Look for mistakes and bad style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Format the code
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

types: setup ## Check the types, strictly
	@$(BIN)/basedpyright

layers: setup ## Check who imports whom
	@$(BIN)/lint-imports --no-cache

check: lint types layers test ## Lint, types, layers and all tests: what CI runs, before the stack in Docker

soak: setup ## Torment workers for minutes: make soak MINUTES=3
	@$(BIN)/python -m tests.soak $(MINUTES)

soak-scheduler: setup ## Torment schedulers for minutes: make soak-scheduler MINUTES=4
	@$(BIN)/python -m tests.soak.schedules $(MINUTES)

test-compose-quick: setup ## Run the stack in a Docker engine: build, up, enqueue, scale
	@$(BIN)/python -m tests.compose quick

test-compose: setup ## The same with containers killed under load, and the cluster, for minutes
	@$(BIN)/python -m tests.compose full

bench: setup ## Measure all, beside other job queues, and write benchmarks/results
	@$(BIN)/python -m benchmarks

bench-quick: setup ## A look at all of that, with small numbers
	@$(BIN)/python -m benchmarks --quick

bench-floor: setup ## Measure enqueuing and processing beside a bare loop
	@$(BIN)/python -m benchmarks.floor

bench-peers: setup ## Measure beside other job queues, each in an environment of its own
	@$(BIN)/python -m benchmarks peers

bench-growth: setup ## Measure as the store grows, with many queues, slots and schedules
	@$(BIN)/python -m benchmarks growth

ajc-page: setup ## Renew the output on docs/ajc.md from real runs
	@$(BIN)/python -m scripts.page docs/ajc.md

constraints: setup ## Renew constraints.txt: the newest versions that fit, with hashes
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv export --quiet --upgrade --all-packages --all-groups --all-extras --no-emit-workspace \
		--no-header --no-annotate --output-file constraints.txt
	@rm -f uv.lock
	@$(MAKE) --no-print-directory image-pins

image-pins: setup ## Renew deploy/image/*.txt: the part of constraints.txt that the image installs
	@$(BIN)/python -m scripts.pin_image

secrets: ## Make the secrets of `docker compose up` in ./secrets, unless they are there
	@$(PYTHON) scripts/make_secrets.py

clean: ## Remove what was made: .venv and caches
	@rm -rf .venv .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
