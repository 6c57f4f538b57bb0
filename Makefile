# The two commands are `make build` and `make test`; README.md tells the rest.
SHELL := bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INCIDENT := --vars 'as_of_date: 2025-11-21'
SIMULATE := dbt --quiet run-operation simulate_census_sync $(INCIDENT)
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := build
.PHONY: build sync report demo test slow fuzz mutants bench lint docs setup browser seeds lock

build: setup  ## the incident: seed the source tables, build and test everything, show the summary
	dbt seed $(INCIDENT)
	dbt build $(INCIDENT)
	dbt --quiet run-operation show_feature_sync_summary $(INCIDENT)

sync: setup  ## the repair: simulate the Census sync, then prove that nothing differs
	$(SIMULATE) --args '{relation: product_property_feature_sync}'
	dbt test $(INCIDENT)

report: setup  ## what the marts say, as one page to look at: output/report.html
	python scripts/report.py $(INCIDENT)

demo: setup  ## the whole story: the incident, its page, the syncs, the proof, and the page after
	@echo "1. The day of the incident: seed and build"
	@dbt --quiet seed $(INCIDENT)
	@dbt --quiet build $(INCIDENT)
	@echo "2. The page before"
	@python scripts/report.py --output output/report_before.html $(INCIDENT)
	@echo "3. Census, simulated: it creates what is new and updates what is wrong"
	@$(SIMULATE) --args '{relation: product_property_create}'
	@$(SIMULATE) --args '{relation: product_property_feature_sync}'
	@echo "4. The proof: nothing differs any more"
	@dbt --quiet test $(INCIDENT)
	@dbt --quiet build $(INCIDENT)
	@echo "5. The page after"
	@python scripts/report.py --output output/report_after.html $(INCIDENT)

test: lint browser  ## every gate and every test
	pytest

slow: setup  ## what takes long: README and runbook, batch by batch, builds that are killed at any statement
	pytest -m slow

fuzz: setup  ## new states of the sources, 5,000 of them, against the rules of tests/python/oracle.py
	pytest tests/python/test_oracle.py --hypothesis-profile=fuzz --dist=load --maxschedchunk=1

mutants: setup  ## break models and macros, one place at a time, and see the tests notice (an hour and more)
	python tests/python/mutants.py

bench: setup  ## time, memory and the hourly job, into docs/benchmark.md (about 30 minutes)
	PYTHONPATH=scripts python benchmark/bench.py

lint: setup
	dbt --warn-error parse --no-partial-parse
	dbt-bouncer run
	sqlfluff lint models tests analyses
	ruff check
	ruff format --check

browser:  # for the tests that look at the report
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null || { \
		echo "Installing chromium and chromium-driver"; \
		$(SUDO) apt-get update --quiet=2 && \
		$(SUDO) apt-get install --quiet=2 --yes --no-install-recommends chromium chromium-driver > /dev/null; } || { \
		echo "The tests of the report need chromium and chromedriver: install them, then try again."; exit 1; }

setup: .venv/.installed profiles.yml dbt_packages/.installed

.venv/.installed: requirements.txt
	@echo "Installing requirements.txt into .venv (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

profiles.yml:
	@echo "Copying profiles.yml.example to profiles.yml"
	@cp profiles.yml.example $@

dbt_packages/.installed: packages.yml package-lock.yml $(wildcard offline/dbt_utils/*/*) | .venv/.installed
	@echo "Installing dbt_utils into dbt_packages"
	@dbt deps > /dev/null 2>&1 || { \
		echo "The dbt package hub did not answer: taking the stand-in from offline/ (details in logs/dbt.log)"; \
		mkdir -p dbt_packages && cp -r offline/dbt_utils dbt_packages/; }
	@touch $@

docs: setup  ## the documentation as one page, target/static_index.html
	dbt docs generate --static $(INCIDENT)

seeds: setup  ## write the seed data anew
	python scripts/generate_seeds.py

lock: setup  ## take the newest versions that requirements.in allows
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url \
		--no-emit-find-links --constraints <(echo 'dbt-core<1.12') requirements.in --output-file requirements.txt
