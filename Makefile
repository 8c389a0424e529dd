# make demo   set up, read sample_images/, audit the readings
# make test   set up with everything, run the tests
# make browser-test  the audit's page in a real browser engine
# make check  what a change has to pass: lint, format, types, tests

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test browser-test check lint types

demo: $(VENV)/.installed
	$(BIN)/serialread read sample_images --out report --overwrite
	$(BIN)/serialread audit report --truth sample_images/labels.csv --out report/audit
	@echo "The report: $(CURDIR)/report/audit"

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# the audit's page in Chromium (Qt WebEngine, 290 MB): light, then dark
browser-test: $(VENV)/.installed-dev
	$(PIP) --editable '.[browser]'
	$(BIN)/python -m pytest tests_browser
	PAPER=dark $(BIN)/python -m pytest tests_browser

check: lint types test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Reading, auditing, calibrating and generating need no torch, so the demo does without.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[train,dev]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
