# `make study`, `make test`, and `make assistant` for its models. Everything else is `personare --help`.
PYTHON ?= python3.11
BIN := .venv/bin
# constraints.txt is the complete lock, so nothing is resolved here and exactly one build of OpenCV is installed.
INSTALLED := .venv/installed

.PHONY: study test assistant
study: $(INSTALLED)
	$(BIN)/personare study --preset quick

test: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2

# What answers, and what reads faces in the browser: npm takes exactly what the lock names, checks its hash, runs nothing of it.
assistant: $(INSTALLED)
	$(BIN)/personare models fetch smollm2
	$(BIN)/personare models fetch face_landmarker
	npm ci --ignore-scripts --no-audit --no-fund --prefix personare/serve/browser

$(INSTALLED): constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
