# Two commands: `make run` and `make test`. Everything else is a part of them or a longer version.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest
COMPILE = $(PYTHON) scripts/uv.py pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
.DEFAULT_GOAL := help
.PHONY: help install run test check bench corpus fuzz chaos soak lock wheel rollback-check

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Install into .venv from the lock (skipped when nothing changed)
	@$(PYTHON) scripts/bootstrap.py

run: install ## Start everything with sandbox data; ARGS="--port 0 ..." passes options
	@exec $(BIN)/chartwire up --sandbox $(ARGS)

test: check wheel ## All that CI runs: checks, the wheel, chaos (short), every other test
	@$(PYTEST) -q -m chaos tests
	@$(PYTEST) -q -n 2 --dist loadgroup -m "not chaos" tests

check: install ## Lint, format, types, import contracts, catalog
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/lint_catalog.py

wheel: install ## Build the wheel, install it elsewhere, try it
	@$(BIN)/python scripts/smoke_wheel.py

bench: install ## Measure: tables on stdout, figures in bench/results.json
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

corpus: install ## The tests on ../shared/corpora
	@$(PYTEST) -q -m corpus tests $(ARGS)

fuzz: install ## The property tests with 100 times as many examples
	@$(PYTEST) -q --hypothesis-profile=fuzz --timeout=0 tests/unit tests/integration/record/test_search_agrees_with_the_slow_reference.py $(ARGS)

chaos: install ## Kill processes for hours
	@CHARTWIRE_CHAOS=long $(PYTEST) -q -m chaos --timeout=0 tests $(ARGS)

soak: install ## Property tests and chaos, long, in turns, then all faults at once
	@$(MAKE) --no-print-directory fuzz chaos
	@$(BIN)/python -m tests.soak --messages 1000000 $(ARGS)

rollback-check: install ## The last release's tests, by its own code, on today's schema (minutes)
	@$(BIN)/python scripts/rollback_check.py $(ARGS)

lock: ## Choose versions anew and write requirements*.lock
	@$(COMPILE) --upgrade --extra dev --extra bench pyproject.toml -o requirements-dev.lock
	@$(COMPILE) --upgrade --no-annotate -c requirements-dev.lock pyproject.toml -o requirements.lock
	@$(COMPILE) --upgrade --no-annotate scripts/tools.in -o requirements-tools.lock
