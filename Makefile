# make demo   set up, read sample_images/, audit the readings
# make test   set up with everything, run the tests
# make test-plant    test the line's interfaces with a broker, a database, cameras (Debian: apt install mosquitto
#                    postgresql ffmpeg aravis-tools)
# make browser-test  test the audit report, the review page and the live page in a real browser engine
# make docs   build the documentation as a site in site/, offline
# make docs-reference  write docs/cli.md from the help, docs/settings-*.md from the settings,
#                      tables of docs/line/ from the code
# make wheel  build the wheel, install it into a fresh environment, read sample_images/
# make check  what a change has to pass: lint, format, types, tests

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-plant browser-test docs docs-reference wheel check lint types

demo: $(VENV)/.installed
	$(BIN)/serialread read sample_images --out report --overwrite
	$(BIN)/serialread audit report --truth sample_images/labels.csv --out report/audit
	@echo "The report: $(CURDIR)/report/audit"

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# The line's interfaces with mosquitto, PostgreSQL, ffmpeg and the fake camera of Aravis, as far as they are installed
test-plant: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m plant -rs $$(grep -l pytest.mark.plant tests/*.py)

# The audit report, the review page and the live page in Chromium (Qt WebEngine, 290 MB) and by axe-core: light, then dark
browser-test: $(VENV)/.installed-dev
	$(PIP) --editable '.[browser]'
	$(BIN)/python -m pytest tests/browser
	PAPER=dark $(BIN)/python -m pytest tests/browser

docs-reference: $(VENV)/.installed
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/settings_reference.py
	$(BIN)/python docs/line_tables.py

docs: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation: $(CURDIR)/site/index.html"

wheel:
	PYTHON=$(PYTHON) .ci/wheel

check: lint types test

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Reading, auditing, calibrating and rendering need no torch, so the demo installs without it.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[train,dev]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
