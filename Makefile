# fishnet: `make help` lists what can be made. Everything sets itself up from Python 3.11+, git and make alone.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= 2
export UV_COMPILE_BYTECODE = 1
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all check lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(BIN)/.ready  ## .venv with exact versions

$(BIN)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fishnet needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## drawn fish, a trained model, its audit, and the shortcut mended, in minutes
	@run=outputs/demo-$$(date +%Y%m%d-%H%M%S); set -ex; \
	$(BIN)/fishnet train experiment=demo out=$$run; \
	$(BIN)/fishnet audit checkpoint=$$run/checkpoints/best.ckpt mend=retrain donors=48 hosts=8 out=$$run-audit

test: setup  ## the fast tests, TESTS=2 files at a time
	$(BIN)/python -m pytest -m 'not slow' -n $(TESTS) --dist loadfile

test-slow: setup  ## browser, servers, kills, several processes, the wheel
	$(BIN)/python -m pytest -m slow -n $(TESTS) --dist loadfile

test-all: test test-slow  ## both

check: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock:  ## exact versions of today into constraints.txt
	$(BIN)/uv pip compile --quiet --all-extras --no-header --no-annotate --no-emit-index-url \
		--upgrade pyproject.toml -o constraints.txt

clean:  ## what was built; data, outputs and runs stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
