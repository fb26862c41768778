# Everything runs in .venv, which each target sets up when it has to (tools/bootstrap).
#   make run ARGS="--seconds 60"   the whole venue on this machine
#   make test | test-quick         all tests | those that take less than two minutes together
#   make conformance               the machine's step on the chain and off it, the long way
#   make disputes                  the model of disputes, thousands of runs and every small play
#   make faults                    kill -9 at 200 points, 1,000 flipped bits, a failing disk
#   make bench                     the benchmarks: the book alone (provenue bench book)
#   make lint                      ruff, mypy, layer boundaries, tree rules
#   make guest                     the program as RV64IM ELFs, one per preset, in build/guest/
#   make generate                  rewrite what is generated from protocol/
#   make clean                     remove build/ and .venv
SHELL := /bin/sh
PY := .venv/bin/python
ARGS ?=
WORKERS ?= 2
STEPS ?= 10000
RUNS ?= 4000
KILLS ?= 200
FLIPS ?= 1000
STATES ?= 1000000

.PHONY: run test test-quick conformance disputes faults bench lint guest generate setup clean
.DEFAULT_GOAL := setup

setup:
	@tools/bootstrap

run: setup
	@$(PY) tools/build_guest.py --quiet
	@.venv/bin/provenue run $(ARGS)

test: setup
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-quick: setup
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(ARGS)

conformance: setup
	PROVENUE_STEPS=$(STEPS) PROVENUE_STATES=$(STATES) \
		$(PY) -m pytest -n $(WORKERS) --dist loadgroup \
		$(wildcard tests/contracts/test_step_*.py) tests/machine $(ARGS)

disputes: setup
	PROVENUE_RUNS=$(RUNS) $(PY) -m pytest -n $(WORKERS) -rP tests/disputes/test_random.py $(ARGS)
	$(PY) -m tests.disputes.exhaustive
	PROVENUE_RUNS=$$(( $(RUNS) / 10 )) $(PY) -m pytest -n $(WORKERS) -rP \
		tests/disputes/test_contract.py $(ARGS)
	$(PY) -m tests.disputes.contract_mutants

faults: setup
	PROVENUE_KILLS=$(KILLS) PROVENUE_FLIPS=$(FLIPS) $(PY) -m pytest -n $(WORKERS) -rP \
		tests/sequencer/test_kill.py tests/sequencer/test_faults.py $(ARGS)

bench: setup
	@.venv/bin/provenue bench book $(ARGS)

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) tools/check_boundaries.py
	$(PY) tools/check_tree.py

guest: setup
	$(PY) tools/build_guest.py $(ARGS)

generate: setup
	$(PY) tools/generate.py

clean:
	rm -rf build .venv
