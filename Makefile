# Everything starts from nothing: a target makes the virtual environment that it needs.
#
#   make demo [ARGS=--exit]     two simulated calls, recorded on this machine
#   make serve [ARGS=...]       the server; ARGS as for `tapdeck serve`
#   make test                   all tests but those below, and the coverage gate
#   make test-interop           the tests with the official SignalWire SDK
#   make bench [ARGS=--quick]   what it costs, beside other receivers, on this machine
#   make screenshots            the pages at three widths, light and dark, into screenshots/
#   make lint                   ruff and mypy; changes nothing
#   make format                 ruff, changing what it can

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What the shell that calls make has active must not leak in.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help demo serve test test-interop bench screenshots lint format
# Two installations into one environment would trip over each other.
.NOTPARALLEL:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.installed-run
	$(BIN)/tapdeck demo $(ARGS)

serve: $(VENV)/.installed-run
	$(BIN)/tapdeck serve $(ARGS)

# Each pure module is covered by its own tests; those of the whole mostly wait, for audio,
# and may do so together unless they measure time.
test: $(VENV)/.installed-test
	$(BIN)/coverage run -m pytest -m "not interop" --ignore tests/e2e $(ARGS)
	$(BIN)/coverage report
	$(BIN)/python -m pytest --numprocesses 3 -m "not alone" tests/e2e $(ARGS)
	$(BIN)/python -m pytest -m alone tests/e2e $(ARGS)

test-interop: $(VENV)/.installed-interop
	$(BIN)/python -m pytest -m interop $(ARGS)

bench: $(VENV)/.installed-test
	$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(VENV)/.installed-test
	$(BIN)/python -m tests.screenshots $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Tapdeck needs Python 3.11 or newer; name one with: make PYTHON=python3.12' >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-run: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.installed-run

$(VENV)/.installed-interop: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable '.[test,interop]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed-run
