# `make demo` and `make test` do all set-up on a fresh machine; PYTHON and VENV can be given.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test test-slow check clean chromium bench bench-quick
demo: $(VENV)/runtime
	$(BIN)/headstart compare

test: $(VENV)/installed check chromium
	$(BIN)/python -m pytest

test-slow: $(VENV)/installed chromium
	$(BIN)/python -m pytest -m slow --timeout 1800 -n 0

check: $(VENV)/installed
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	MYPYPATH=src $(BIN)/mypy -p headstart

BENCHMARKS := text images leaderboard 'leaderboard --peer tuned' engine step_profile attention vision_profile \
  leaderboard_profile kernel_memory libraries vision fewshot 'fewshot --pairs 3' mixed rows tagging race_simulated ranking \
  forgetting curve vectors

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	for case in $(BENCHMARKS); do $(BIN)/python benchmarks/run.py $$case || exit 1; done
	$(BIN)/python benchmarks/run.py report

# Two of them on little data, a repeat each; the results are no part of the record.
bench-quick: $(VENV)/installed
	$(BIN)/python benchmarks/run.py engine --quick
	$(BIN)/python benchmarks/run.py vision --quick

# What runs Headstart, without what tests it.
$(VENV)/runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Headstart needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@echo "installing Headstart into $(VENV): PyTorch is several GB, which takes a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/installed: $(VENV)/runtime
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

# The page is looked at in a real browser where one can be had; without it those tests skip and say so.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    { echo "installing Chromium with apt-get, as root, for the tests that look at pages"; \
	      apt-get update -qq; apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; } || \
	  echo "no Chromium found: the tests that look at pages will skip"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
