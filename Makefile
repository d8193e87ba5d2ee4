# Two commands: `make demo` shows the whole of sammix at work, `make test` checks it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check docs docs-figures screenshots weights clean

demo: weights  ## phantoms → fit → predict → evaluate → report, about six minutes on two CPU cores
	$(BIN)/sammix demo --out demo

test: weights  ## all checks: style, types, tests with coverage
	$(MAKE) check

check: $(STAMP)
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --cov=sammix --cov-report=term:skip-covered --durations=10

docs: $(STAMP)  ## the documentation as a site, build/site/docs/site.html; any warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/site

docs-figures: demo  ## what the pages print under commands, made anew; the demo's figures from the folder that it made
	$(BIN)/python docs/sessions.py docs/tutorial.md docs/how-to.md --demo demo

screenshots: docs weights  ## every kind of page, 1400 and 420 px wide, light and dark: build/screenshots
	$(BIN)/python benchmarks/screenshots.py $(if $(wildcard ../shared/data),--data ../shared/data)

weights: $(STAMP)
	$(BIN)/sammix weights fetch lite-medsam

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:  ## remove the environment and what the demo made
	rm -rf $(VENV) demo build
