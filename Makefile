# `make demo` and `make test` need Python 3.11 or newer, make and pip; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= studies/text_encoder_depth.py
# Of `make bench`: names of benchmarks, and --toy for small sizes.
BENCH ?=
# Of `make cluster-demo`: arguments of the study, as --scale smoke; of `make chaos`: see its --help.
DEMO ?=
CHAOS ?=
# Processes that run tests; a file's tests stay in one of them, since they share its servers. Of
# three one starts no Ray (tests/fixtures/collecting.py), and uses what the others leave idle.
JOBS ?= 3
# What tests and their processes compile is kept: to rewrite the asserts of all takes a third of
# the time that collecting them does.
unexport PYTHONDONTWRITEBYTECODE
PARALLEL := --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test long quick check bench mlflow s3 cluster cluster-down cluster-demo chaos clean

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# uv takes a third of pip's time. Modules are compiled: some fifty processes of a study import them,
# and keep nothing of what they compile where PYTHONDONTWRITEBYTECODE is set. pip does it where uv
# cannot: behind a mirror that only pip is told of, or on a platform that uv has no wheel for.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt
comma := ,
install-extras = ($(PIP) uv && $(UV) --editable '.[$(1)]') || $(PIP) --editable '.[$(1)]'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; give another with PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install-extras,demo)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(call install-extras,demo$(comma)dev)
	touch $@

install: $(VENV)/.installed ## make .venv and install the package with pinned versions

demo: $(VENV)/.installed ## build the demo corpus and run the text-depth study on it
	$(BIN)/python $(STUDY)

test: $(VENV)/.installed-dev ## run all tests, but for the long ones
	$(BIN)/python -m pytest -n $(JOBS) $(PARALLEL) -m 'not long'

long: $(VENV)/.installed-dev ## run the tests that take minutes each: an hour or more
	$(BIN)/python -m pytest -v -m long

quick: $(VENV)/.installed-dev ## run the tests that take under a minute together
	$(BIN)/python -m pytest -n 2 $(PARALLEL) -m 'not slow and not long and not ray and not s3 and not browser and not network and not gpu'

check: $(VENV)/.installed-dev ## lint, types, and the layers of the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

bench: $(VENV)/.installed-dev ## measure, as ratios against named baselines
	$(BIN)/python tests/benchmarks/table.py $(BENCH)

mlflow: $(VENV)/.installed ## show the runs at http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$${SEEDBED_HOME:-$$HOME/.seedbed}/mlflow.db --port 5000

s3: $(VENV)/.installed-dev ## run an S3 server with a bucket 'corpus' until Ctrl-C
	@$(BIN)/python -m seedbed_local.s3

cluster: $(VENV)/.installed-dev ## run a cluster of several nodes on this machine until Ctrl-C
	@$(BIN)/python -m seedbed_local up

cluster-down: $(VENV)/.installed-dev ## end it from another terminal
	@$(BIN)/python -m seedbed_local down

cluster-demo: $(VENV)/.installed-dev ## submit the text-depth study to it, or to one for the while
	@$(BIN)/python -m seedbed_local demo -- $(DEMO)

chaos: $(VENV)/.installed-dev ## kill parts of such a cluster at random for ten minutes of a study
	@$(BIN)/python -m tests.chaos.chaos $(CHAOS)

clean: ## remove the virtual environment (state under ~/.seedbed stays)
	rm -rf $(VENV)
