# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.DEFAULT_GOAL := help
.PHONY: help setup develop demo demo-stop test unit integration parts long search browser faults soak attack lint docs site sanity installed matrix rulebook lab lab-down lab-test lab-core lab-role lab-acceptance lab-bench lab-cuts lab-leaders bench build release requirements clean
BIN := .venv/bin
# Integration tests with targets of their own: they take long, or boot machines.
FAULTS := faults/test_faults_pairs.py
ROLE := roles/test_monitor_role.py
LAB_TESTS := $(ROLE) host/test_systemd_contract.py
# Integration tests of one part: an agent, a service manager, a probe, a ledger, the command line.
PARTS := host probes reference cli controller
PROFILE ?= local
LAB ?= lab

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## .venv with what runs muster, and the collection's link
	@bin/setup

develop: ## the same, with what tests and lint need
	@bin/setup --development

demo: ## scenario 2 on this machine, from nothing; again: brings it up to date. PROFILE=mosquitto: on another data bus
	@MUSTER_DEMO_INVENTORY=inventory/$(PROFILE) bin/demo

demo-stop: ## stops the demo and leaves nothing behind
	@MUSTER_DEMO_INVENTORY=inventory/$(PROFILE) bin/demo stop

test: develop ## unit, integration, parts, lab-core, browser, lint and docs, some at a time; durations in .cache/checks/durations.txt
	@$(BIN)/python tests/all_checks.py integration lab-core browser parts unit lint docs

unit: develop ## tests without processes
	@$(BIN)/python -m pytest tests/unit -m "not long" $(ARGS)

integration: develop ## tests of whole sites with real service managers, buses and playbooks, two files at a time
	@$(BIN)/python -m pytest tests/integration tests/field -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(addprefix --ignore=tests/integration/,$(FAULTS) $(LAB_TESTS) $(PARTS)) $(ARGS)

parts: develop ## the same of one part each: agent, service managers, probes, ledger, command line
	@$(BIN)/python -m pytest $(addprefix tests/integration/,$(PARTS)) -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(addprefix --ignore=tests/integration/,$(LAB_TESTS)) $(ARGS)

long: develop ## what "test" leaves out: roles, hosts that come and go, pauses, more faults of every kind, more simulated histories
	@$(BIN)/python -m pytest tests/unit tests/integration tests/field tests/browser tests/installed -n 2 --dist loadfile --no-loadscope-reorder -m long $(addprefix --ignore=tests/integration/,$(FAULTS) $(LAB_TESTS)) $(ARGS)

search: develop ## property tests with other input than "test" has, each time; what fails can be run again with what it prints
	@$(BIN)/python -m pytest tests/unit tests/field -n 2 -m hypothesis --hypothesis-profile=search $(ARGS)

faults: develop ## every fault alone, twice, then two at once, one pair after the other, on a real site; takes its time
	@$(BIN)/python -m pytest tests/integration/faults/test_faults_alone.py $(addprefix tests/integration/,$(FAULTS)) $(ARGS)

soak: develop ## random faults and requests for as long as you like: ARGS="--faults 200 --seed 1"
	@$(BIN)/python -m tests.soak $(ARGS)

attack: develop ## what an ordinary user can do to a running site, as root: ARGS="--only idle-300"
	@$(BIN)/python -m tests.attack $(ARGS)

browser: develop ## the page of a real monitor in a real Chromium. ARGS="--screenshots docs/img" takes its pictures again
	@$(BIN)/python -m pytest tests/browser -m "not long" $(ARGS)

lint: develop ## ruff, mypy (strict on core and monitor), yamllint, ansible-lint (production), phrases that are hard to read
	@tests/sanity/lint.sh

docs: develop ## documentation of plugins and roles, changelog fragments, links, Galaxy's importer, the site (half a minute)
	@tests/sanity/docs.sh
	@tests/release/importer.sh
	@$(BIN)/python -m tests.release.site build/site

site: develop ## the site of the documentation, with a search, in build/site (ten seconds)
	@$(BIN)/python -m tests.release.site build/site

sanity: develop ## ansible-test sanity on a copy in the path that it wants
	@tests/sanity/sanity.sh

installed: develop ## builds the collection, installs it elsewhere, deploys and removes a site with it
	@$(BIN)/python -m pytest tests/installed -m "not long" $(ARGS)

matrix: develop ## the same with other versions of ansible-core and Python (forty minutes); ARGS="ends --write", ARGS=--help
	@$(BIN)/python -m tests.installed.matrix $(ARGS)

rulebook: develop ## the example rulebook in the real ansible-rulebook, beside a real API (needs Java 17 or newer)
	@$(BIN)/python -m pytest tests/rulebook $(ARGS)

lab-test: develop ## tests on hosts with systemd and sshd of their own, which lose power and network (needs root)
	@tests/lab/packages.sh
	@$(BIN)/python -m pytest tests/lab $(addprefix tests/integration/,$(LAB_TESTS)) $(ARGS)

# Where that cannot be, they are skipped with a sentence. Supervisor has had its turn on this machine by then.
lab-core: develop ## those of them that show the main paths, two files at a time: part of "test"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m core -k "not [supervisor]" tests/lab $(addprefix tests/integration/,$(filter-out $(ROLE),$(LAB_TESTS))) $(ARGS)

lab-role: develop ## a real controller with accounts and keys on such hosts: CI runs it by itself
	@$(BIN)/python -m pytest -m core $(addprefix tests/integration/,$(ROLE)) $(ARGS)

lab-acceptance: develop ## the acceptance tests of the local site on such hosts, first with systemd, then with supervisor
	@tests/lab/packages.sh
	@for manager in systemd supervisor; do \
	  MUSTER_TEST_SITE=lab MUSTER_TEST_MANAGER=$$manager $(BIN)/python -m pytest tests/integration/site/test_req_*.py tests/integration/site/test_discovery.py $(ARGS) || exit; \
	done

lab-bench: develop ## measurements on such hosts with 100 items, with each service manager; ARGS="--help" says more
	@tests/lab/packages.sh
	@$(BIN)/python -m tests.lab.measure $(ARGS)

lab-cuts: develop ## cuts such hosts again and again while an audit looks for two copies; ARGS="--cuts 26 --service-manager systemd"
	@tests/lab/packages.sh
	@$(BIN)/python -m tests.lab.cuts $(ARGS)

lab-leaders: develop ## takes the leading one of three booted controllers away, again and again; ARGS="--times 20 --fault power"
	@tests/lab/packages.sh
	@$(BIN)/python -m tests.lab.leaders $(ARGS)

lab: develop ## boots those hosts for you and says how to use them. LAB=name: beside another; ARGS="--service-manager systemd"
	@$(BIN)/python -m tests.lab --name $(LAB) up $(ARGS)

lab-down: ## takes them away, also what was left of them
	@$(BIN)/python -m tests.lab --name $(LAB) down

bench: develop ## measurements beside Supvisors (needs root for the peer); ARGS="--list" shows them
	@$(BIN)/python -m tests.benchmarks $(ARGS)

build: setup ## the collection's archive below build/
	@$(BIN)/python -m tests.release.pack build

release: develop ## changelog, archive and notes of the version that galaxy.yml names (docs/releasing.md)
	@tests/release/release.sh

requirements: ## pins requirements/*.txt again (needs pip-compile, from pip-tools)
	@tests/sanity/pin_requirements.sh

clean: ## removes what the targets above made here
	@if [ -d .muster ]; then echo "The demo is deployed and runs from .venv: make demo-stop first." >&2; exit 1; fi
	@rm -rf .venv .cache .ansible .hypothesis .ruff_cache build
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
