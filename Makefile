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

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	$(BIN)/python benchmarks/text.py
	$(BIN)/python benchmarks/images.py
	$(BIN)/python benchmarks/leaderboard.py
	$(BIN)/python benchmarks/leaderboard.py --peer tuned
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/step_profile.py
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/vision_profile.py
	$(BIN)/python benchmarks/leaderboard_profile.py
	$(BIN)/python benchmarks/kernel_memory.py
	$(BIN)/python benchmarks/vision.py
	$(BIN)/python benchmarks/fewshot.py
	$(BIN)/python benchmarks/fewshot.py --pairs 3
	$(BIN)/python benchmarks/mixed.py
	$(BIN)/python benchmarks/rows.py
	$(BIN)/python benchmarks/race_simulated.py
	$(BIN)/python benchmarks/ranking.py
	$(BIN)/python benchmarks/forgetting.py
	$(BIN)/python benchmarks/curve.py
	$(BIN)/python benchmarks/vectors.py
	$(BIN)/python benchmarks/tables.py

# The same scripts on little data, a repeat each; what they write goes to a folder that is no part of the record.
bench-quick: $(VENV)/installed
	HEADSTART_RESULTS=runs/bench-quick $(BIN)/python benchmarks/engine.py --examples 200 --epochs 1 --repeats 1
	HEADSTART_RESULTS=runs/bench-quick $(BIN)/python benchmarks/vision.py --model resnet18 --images 32 --repeats 1

# What runs Headstart, without what tests it.
$(VENV)/runtime: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Headstart needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "installing Headstart into $(VENV): PyTorch is several GB, which takes a few minutes"
	$(BIN)/python -m pip install --quiet -e .
	touch $@

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
