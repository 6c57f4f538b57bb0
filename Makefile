# Start with `make build`; README.md explains it, and CONTRIBUTING.md lists the test suites.
SHELL := bash
INCIDENT := --vars 'as_of_date: 2025-11-21'
SIMULATE := dbt --quiet run-operation simulate_census_sync $(INCIDENT)
# The newest Python that dbt 1.11 runs on: it crashes on 3.14 (dbt-core#12098).
FITS := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(FITS)' 2> /dev/null && echo $$python && break; done)
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE # pytest would compile its tests and Hypothesis three times

.DEFAULT_GOAL := build
.PHONY: build summary sync report demo test slow fuzz mutants bench lint docs setup browser seeds lock

build: setup  ## load the day of the incident, build and test it, show how much is wrong
	@echo "Loading the day of the incident, then building and testing the models (half a minute)"
	@dbt --log-level warn seed $(INCIDENT)
	@dbt --log-level warn build $(INCIDENT)
	@dbt --quiet run-operation show_feature_sync_summary --args '{lines: 7}' $(INCIDENT)
	@echo "make summary prints every line, make report writes an HTML page, make sync simulates the sync."

summary: setup  ## print how much is wrong, per cohort and product
	@dbt --quiet run-operation show_feature_sync_summary $(INCIDENT)

sync: setup  ## simulate the Census sync, prove that nothing differs, bring the marts up to date
	@$(SIMULATE) --args '{relation: product_property_feature_sync}'
	@echo "Proving that nothing differs any more, then building again"
	@dbt --log-level warn test $(INCIDENT)
	@dbt --log-level warn build $(INCIDENT)
	@dbt --quiet run-operation show_feature_sync_summary --args '{lines: 7}' $(INCIDENT)

report: setup  ## the same figures as an HTML page: output/report.html
	python scripts/report.py $(INCIDENT)

demo: setup  ## run the full cycle: the incident, the syncs, the proof, and the report before and after
	@echo "1. Load and build the day of the incident"
	@dbt --quiet seed $(INCIDENT)
	@dbt --quiet build $(INCIDENT)
	@echo "2. Write the report before the sync"
	@python scripts/report.py --output output/report_before.html $(INCIDENT)
	@echo "3. Simulate Census: create the new properties, update the wrong ones"
	@$(SIMULATE) --args '{relation: product_property_create}'
	@$(SIMULATE) --args '{relation: product_property_feature_sync}'
	@echo "4. Prove that nothing differs any more"
	@dbt --quiet test $(INCIDENT)
	@dbt --quiet build $(INCIDENT)
	@echo "5. Write the report after the sync"
	@python scripts/report.py --output output/report_after.html $(INCIDENT)

test: lint browser  ## all gates, then the tests that CI runs (11 CPU-minutes)
	pytest

slow: setup  ## the slow tests: documented commands, batch by batch, builds interrupted at every change
	pytest -m slow --dist=load --maxschedchunk=1

fuzz: setup  ## 5,000 generated states of the sources against tests/python/support/oracle.py
	pytest tests/python/models/test_oracle.py --hypothesis-profile=fuzz --dist=load --maxschedchunk=1

mutants: setup  ## break models and macros one place at a time and check that a test fails
	PYTHONWARNINGS=ignore:resource_tracker python tests/python/mutants.py

bench: setup  ## measure one read and one hour beside the naive query, into docs/benchmark.md
	python benchmark/bench.py --page docs/benchmark.md

# Processes that sqlfluff and the mutants fork never release the locks that dbt made, which Python would warn of.
lint: setup
	dbt --warn-error parse --no-partial-parse
	dbt-bouncer run
	PYTHONWARNINGS=ignore:resource_tracker sqlfluff lint --processes 0 models tests/*.sql analyses
	ruff check
	ruff format --check
	codespell
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

browser:  # for the tests of the report
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null || { \
		echo "Installing chromium and chromium-driver"; \
		$(SUDO) apt-get update --quiet=2 && \
		$(SUDO) apt-get install --quiet=2 --yes --no-install-recommends chromium chromium-driver > /dev/null; } || { \
		echo "The tests of the report need chromium and chromedriver. Install them and try again."; exit 1; }

setup: .venv/.installed profiles.yml dbt_packages/.installed

.venv/.installed: requirements.txt
	@$(or $(PYTHON),false) -c '$(FITS)' 2> /dev/null || { \
		echo "Python 3.11, 3.12 or 3.13 with venv is needed: make PYTHON=/path/to/python3.13"; exit 1; }
	@echo "Installing requirements.txt into .venv (half a minute)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -qq "$$(grep ^uv== requirements.txt)"
	@uv pip install --quiet --compile-bytecode --requirement requirements.txt
	@touch $@

profiles.yml:
	@echo "Copying profiles.yml.example to profiles.yml"
	@cp profiles.yml.example $@

dbt_packages/.installed: packages.yml package-lock.yml $(wildcard offline/dbt_utils/*/*) | .venv/.installed
	@echo "Installing dbt_utils into dbt_packages"
	@dbt deps > /dev/null 2>&1 || { \
		echo "The dbt package hub did not answer: installing the stand-in from offline/ (details in logs/dbt.log)"; \
		mkdir -p dbt_packages && cp -r offline/dbt_utils dbt_packages/; }
	@touch $@

docs: setup  ## models, columns and lineage as one page: target/static_index.html
	dbt docs generate --static $(INCIDENT)
	@echo "Open target/static_index.html"

seeds: setup  ## generate the seeds and load them
	python scripts/generate_seeds.py
	dbt seed

lock: setup  ## update requirements.txt to the newest versions that requirements.in allows
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url \
		--no-emit-find-links --constraints <(echo 'dbt-core<1.12') requirements.in --output-file requirements.txt
