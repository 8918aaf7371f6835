# make demo       set up .venv, then run data -> Adam training -> picture
# make test       set up .venv and run every test
# make test-fast  run the tests that are quick and start no processes: a minute
# make fuzz       run the property tests on many new examples
# make lint       ruff, mypy and import-linter
# make docs       write docs/cli.md and the pictures of docs/choosing.md and docs/scaling.md again
# make bench      run the benchmarks and write docs/benchmarks.md again
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-fast fuzz lint docs bench clean

demo: .venv/installed
	$(BIN)/softkmeans demo --out-dir demo

# One thread a worker: with two threads on each of two cores, they wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test: .venv/installed-dev
	$(PYTEST)

test-fast: .venv/installed-dev
	$(PYTEST) tests -m "not slow and not process"

fuzz: .venv/installed-dev
	HYPOTHESIS_PROFILE=fuzz $(PYTEST) tests -m hypothesis

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed
	$(BIN)/python -m typer softkmeans.cli utils docs --name softkmeans --output docs/cli.md
	cd docs/images && ../../$(BIN)/python -m doctest -o ELLIPSIS -o NORMALIZE_WHITESPACE ../choosing.md
	folder=$$(mktemp -d) && cd $$folder && $(CURDIR)/$(BIN)/python -m doctest -o ELLIPSIS -o NORMALIZE_WHITESPACE \
	    $(CURDIR)/docs/scaling.md && mv scaling.png $(CURDIR)/docs/images && rm -r $$folder

bench: .venv/installed-bench
	$(BIN)/python benchmarks/run.py

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

.venv/installed-bench: .venv/installed requirements-bench.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

clean:
	rm -rf .venv demo build dist
