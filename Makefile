# The commands of a contributor. Two are enough to begin: `make demo` and `make test`.

PYTHON ?= python3
PYTEST_ARGS ?=
FUZZ_ARGS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint check fuzz fuzz-models lock wheel clean

help: ## say what there is
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 12

setup: $(INSTALLED) ## make .venv from the lock; install missing system packages where this is root

demo: setup ## a sound Raft passes, a broken one is caught
	$(VENV)/bin/splitbrain demo

test: setup ## run every test; options by PYTEST_ARGS="..."
	$(VENV)/bin/pytest $(PYTEST_ARGS)

lint: setup ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

check: lint test ## all that a change must pass

fuzz: setup ## judge random histories as brute force does; options by FUZZ_ARGS="--count N --seed S --jobs N"
	$(VENV)/bin/python tests/checkers/fuzz.py $(FUZZ_ARGS)

fuzz-models: setup ## judge random histories by models as users write them; options by FUZZ_ARGS
	$(VENV)/bin/python tests/checkers/fuzz_models.py $(FUZZ_ARGS)

lock: ## pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	  --output-file requirements.lock pyproject.toml

wheel: setup ## build dist/*.whl
	$(VENV)/bin/python -m hatchling build --target wheel

clean: ## remove what make made, and the images; run directories stay
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	@! docker version >/dev/null 2>&1 \
	  || docker images --quiet --filter label=splitbrain.image | sort -u | xargs -r docker rmi --force

$(INSTALLED): requirements.lock pyproject.toml scripts/system-packages scripts/venv
	scripts/system-packages
	scripts/venv "$(PYTHON)" $(VENV)
	@touch $@
