# make demo         set up .venv, then run data -> Adam training -> picture
# make test         set up .venv and run every test but the thorough ones
# make test-thorough  run the tests that take long: more cases of kinds that `make test` covers
# make test-fast    run the tests that are quick and start no processes: a minute
# make test-lowest  run every test with the lowest allowed versions of the dependencies, in .venv-lowest
# make test-newest  run every test with the newest versions, in .venv-newest
# make test-gpu     run the tests of devices, which need a GPU
# make browser     install Chromium (on Debian or Ubuntu, as root) and axe-core, for the tests of reports, if missing
# make coverage     run every test, then list the lines that no test runs
# make fuzz         run the property tests on many new examples, and each fuzzer for MINUTES=5
# make lint         ruff, mypy, import-linter and codespell
# make docs         write docs/cli.md and the pictures of the pages in docs/ again
# make site         build the documentation site in build/site, with the API reference and the gallery: a minute
# make check-site   open each page of it in Chromium, without a network; PICTURES=FOLDER also writes each page there
# make linkcheck    check the links to other sites, which needs a network
# make examples     run the programs in examples/networks, which print the figures of docs/codebook.md
# make bench        run the benchmarks and write docs/benchmarks.md again
# make pins         write requirements*.txt from pyproject.toml; UPGRADE=1 for the newest versions
# make wheel        build sdist and wheel, and try the wheel in a new environment, with each extra
# make hooks        check every commit as .pre-commit-config.yaml says
ifeq ($(OS),Windows_NT)
PYTHON ?= python
SCRIPTS := Scripts
else
PYTHON ?= python3
SCRIPTS := bin
endif
LOWEST_PYTHON ?= python3.11
BIN := .venv/$(SCRIPTS)
TOOLS := .venv-tools/$(SCRIPTS)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-thorough test-fast test-lowest test-newest test-gpu browser coverage fuzz lint docs site check-site linkcheck examples bench pins wheel hooks clean

demo: .venv/installed
	$(BIN)/softkmeans demo --out-dir demo

# One thread a worker: with two threads on each of two cores, they wait for each other.
PYTEST := -m pytest -n 2
ONE_THREAD := OMP_NUM_THREADS=1

test: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/python $(PYTEST) -m "not thorough"

test-thorough: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/python $(PYTEST) -m thorough

test-fast: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/python $(PYTEST) tests -m "not slow and not process and not thorough"

# Old versions call functions of other packages that are deprecated by now.
test-lowest: .venv-lowest/installed
	$(ONE_THREAD) .venv-lowest/$(SCRIPTS)/python $(PYTEST) -W ignore::DeprecationWarning

test-newest: .venv-newest/installed
	$(ONE_THREAD) .venv-newest/$(SCRIPTS)/python $(PYTEST)

test-gpu: .venv/installed-dev
	SOFTKMEANS_NEEDS_GPU=1 $(BIN)/python -m pytest tests/nn/test_devices.py

AXE_VERSION := 4.14.1
browser: node_modules/axe-core/axe.min.js
	command -v chromium && command -v chromedriver || { apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq chromium chromium-driver < /dev/null; }

node_modules/axe-core/axe.min.js:
	npm install --no-save --silent axe-core@$(AXE_VERSION)

coverage: .venv/installed-dev
	$(ONE_THREAD) $(BIN)/python $(PYTEST) --cov --cov-report=term-missing:skip-covered

# The fuzzers run even if a property test fails; then the status is still that of a failure.
MINUTES ?= 5
fuzz: .venv/installed-dev
	HYPOTHESIS_PROFILE=fuzz $(ONE_THREAD) $(BIN)/python $(PYTEST) tests -m hypothesis; tests=$$?; \
	    PYTHONPATH=tests $(ONE_THREAD) $(BIN)/python -m fuzz --minutes $(MINUTES) && exit $$tests

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

# The code of these pages draws their pictures.
DRAWING := choosing how-it-works which-method scaling
docs: .venv/installed-dev
	$(BIN)/python -m typer softkmeans.cli utils docs --name softkmeans --output docs/cli.md
	$(BIN)/python tools/draw_rooms.py docs/images/rooms.svg
	folder=$$(mktemp -d) && cd $$folder && for page in $(DRAWING); do \
	    $(CURDIR)/$(BIN)/python -m doctest -o ELLIPSIS -o NORMALIZE_WHITESPACE $(CURDIR)/docs/$$page.md || exit 1; \
	done && mv *.png $(CURDIR)/docs/images && rm -r $$folder

# Warnings are errors. Everything is made again, so that the gallery is that of the present code.
SPHINX = .venv-docs/$(SCRIPTS)/python -m sphinx --fail-on-warning --keep-going --nitpicky --jobs 2 --quiet
site: .venv-docs/installed
	rm -rf build/site docs/generated docs/gallery
	$(SPHINX) -b html docs build/site

linkcheck: .venv-docs/installed
	$(SPHINX) -b linkcheck docs build/linkcheck

check-site: .venv/installed-dev
	$(BIN)/python tools/check_site.py build/site $(PICTURES)

EXAMPLES := image_patches deep_clustering compressed_weights
examples: .venv/installed-dev
	for name in $(EXAMPLES); do $(ONE_THREAD) $(BIN)/python examples/networks/$$name.py || exit 1; done

bench: .venv/installed-bench
	$(BIN)/python benchmarks/run.py

pins: .venv-tools/installed
	$(TOOLS)/python tools/pins.py $(if $(UPGRADE),--upgrade)

wheel: .venv-tools/installed
	rm -rf dist
	$(TOOLS)/python -m build
	$(TOOLS)/python tools/check_wheel.py dist

hooks: .venv-tools/installed
	$(TOOLS)/pre-commit install

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP_INSTALL) -r requirements.txt
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/python $(PIP_INSTALL) -r requirements-dev.txt
	touch $@

.venv/installed-bench: .venv/installed requirements-bench.txt
	$(BIN)/python $(PIP_INSTALL) -r requirements-bench.txt
	touch $@

.venv-docs/installed: requirements.txt requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/$(SCRIPTS)/python $(PIP_INSTALL) -r requirements-docs.txt
	touch $@

.venv-tools/installed: requirements-tools.txt
	$(PYTHON) -m venv .venv-tools
	$(TOOLS)/python $(PIP_INSTALL) -r requirements-tools.txt
	touch $@

.venv-lowest/installed: pyproject.toml requirements-dev.txt tools/pins.py tools/lowest_pins.py .venv-tools/installed
	$(LOWEST_PYTHON) -m venv --clear .venv-lowest
	$(TOOLS)/python tools/lowest_pins.py > .venv-lowest/requirements.txt
	.venv-lowest/$(SCRIPTS)/python $(PIP_INSTALL) -r .venv-lowest/requirements.txt
	touch $@

.venv-newest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/$(SCRIPTS)/python $(PIP_INSTALL) --upgrade "pip>=25.1"  # the first that knows groups
	.venv-newest/$(SCRIPTS)/python $(PIP_INSTALL) -e ".[all]" --group dev
	touch $@

clean:
	rm -rf .venv .venv-docs .venv-lowest .venv-newest .venv-tools demo build dist docs/gallery docs/generated
