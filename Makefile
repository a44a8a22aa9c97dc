# Two commands for a newcomer: `make demo` plays music, `make test` runs the tests. Both need Python 3.10 or newer and
# make, install into the clone alone, and leave nothing outside it: caches and temporary files go to .cache and .pytest-tmp.

PYTHON ?= python3
CACHE := $(CURDIR)/.cache
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
# pip asks for rustc's version, and rustup's rustc leaves a folder in the home.
export RUSTUP_HOME := $(CACHE)/rustup
export RUFF_CACHE_DIR := $(CACHE)/ruff
# A venv a kind of use: the demo needs no test tools. `make test VENV=...` puts it elsewhere (test-all does).
DEMO_VENV ?= .venv-demo
VENV ?= .venv

.PHONY: demo test test-all lint types unit bench bench-profile bench-decode docs clean

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/python examples/quickstart.py $(ARGS)

test: lint types unit

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.installed
	$(VENV)/bin/mypy

unit: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -q --cov --cov-report=term

test-all:
	sh tests/on_each_python.sh

# The public interface as pages, in build/docs.
docs: .venv-docs/.installed
	.venv-docs/bin/pdoc --output-directory build/docs lavalink_sync '!lavalink_sync.devnode.__main__'

# This client and its peers on one load server: docs/performance.md. `make bench ARGS=--quick` takes three minutes.
bench: $(VENV)/.installed
	@$(VENV)/bin/python -m benchmarks $(ARGS)

# The pictures of docs/performance.md: the hottest paths at the commit before they were made fast, and now.
bench-profile: $(VENV)/.installed
	@$(VENV)/bin/python -m benchmarks.profiles 75b4243

bench-decode: $(VENV)/.installed
	$(VENV)/bin/python benchmarks/decode.py

$(DEMO_VENV)/.installed: EXTRA = devnode
$(VENV)/.installed: EXTRA = test
.venv-docs/.installed: EXTRA = docs
%/.installed: setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "$(PYTHON) is not Python 3.10 or newer; name one that is: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@mkdir -p $(CACHE)
	$(PYTHON) -m venv --clear $*
	$*/bin/python -m pip install --quiet --editable '.[$(EXTRA)]'
	@touch $@

clean:
	rm -rf .venv .venv-* .cache .pytest-tmp build dist *.egg-info
