# Every target sets up what it needs from PyPI; nothing is installed outside this folder.
# Components that PyPI does not carry are used where they are found (tests say what brings them).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
  $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$candidate; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PINNED := $(VENV)/.pinned
READY := $(VENV)/.ready
# Each process of tests has its own sandbox and control plane. A third of the time one waits, so three keep two cores busy.
WORKERS ?= 3
PACKAGES := controller/actions_gateway controller/gateway_sandbox cli/gw dashboards/gw_dashboards alerts/gw_alerts

export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## The main job end to end on the sandbox: a tenant, a workflow, its jobs, health
	@CLUSTER=$(CLUSTER) controller/gateway_sandbox/examples/demo.sh

test: $(READY) ## All tests
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY) ## Format, lint and layers, as CI runs them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: $(READY) ## mypy --strict over all packages
	@$(BIN)/mypy

format: $(READY) ## Rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: $(READY) ## Rebuild everything that is generated and committed
	@$(BIN)/python -m actions_gateway.installation.generate
	@$(BIN)/python -m gw_alerts.generate
	@$(BIN)/python -m gw_dashboards.generate
	@$(BIN)/python -m gw.checks.index
	@$(BIN)/python -m gw.reference

controlplane: $(READY) ## Build the real Kubernetes control plane (needs Go; once per machine, outside this folder)
	@$(BIN)/python -m gateway_sandbox.controlplane build $(ARGS)

monitoring: $(READY) ## Build Prometheus 3.5 and Alertmanager 0.28 beside Debian's (needs Go; four minutes on two cores)
	@$(BIN)/python -m gateway_sandbox.controlplane build promtool prometheus amtool alertmanager

bench: $(READY) ## Measure what the documentation claims; never part of the tests
	@$(BIN)/python tests/bench $(ARGS)

mutate: $(READY) ## Change each number of the alerting and see whether somebody notices
	@$(BIN)/python tests/mutation $(ARGS)

week: $(READY) ## Play a healthy week in virtual time, and evaluate every rule at each minute of it (ten minutes)
	@$(BIN)/python tests/simulation/quiet.py $(ARGS)

soak: $(READY) ## Play thousands of seeds of the virtual-time simulation; each failing one replays exactly
	@$(BIN)/python tests/simulation $(ARGS)

requirements: ## Pin the newest versions that pyproject.toml allows, with hashes (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras \
	  --upgrade pyproject.toml -o requirements.txt

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): $(PINNED) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The environment is never removed here: something may be running from it.
$(PINNED): requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "setting up $(VENV) ..." >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make virtual environments; on Debian install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $(PINNED)

.PHONY: help demo test lint types format generate controlplane monitoring bench mutate week soak requirements clean
