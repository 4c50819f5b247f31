# `make demo` and `make test` are the two to know; each target makes .venv itself.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
MINUTES ?= 45
SEEDS ?= 10
FIRST ?= 0
DATA ?= data
BOARD ?= ulx3s-85f
CORNERS ?= fast
# whole files to a worker, in the order of conftest.py: the longest first
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-deps --no-compile \
	--no-input

.PHONY: help demo bitstream test test-all block lint formal bench mutants fuzz docs venv tools clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      train, compile and simulate the digits network (build/digits/report.html)"
	@echo "make bitstream digits and MNIST (DATA=folder with mnist/) for the board BOARD=ulx3s-85f"
	@echo "make test      the tests; make test-all: the slow ones too"
	@echo "make block     one block's tests: BLOCK=mvu, fast corners; CORNERS=all: every one"
	@echo "make lint      ruff and mypy"
	@echo "make formal    proofs of stream contracts, buffers, merge and the serial link"
	@echo "make bench     the measured ratios"
	@echo "make fuzz      SEEDS=10 random QONNX files to RTL, every answer and cycle compared;"
	@echo "               LOG=file keeps the outcomes, and the same command goes on after them;"
	@echo "               SCHEDULER=local, tcp://... or a file: by Dask's workers"
	@echo "make mutants   deliberate faults, each of which a test must catch within MINUTES=$(MINUTES); FILES=ex_mvu"
	@echo "make docs      the site (build/docs/index.html): pages, references, executed tutorials"
	@echo "make venv      only install; make clean: remove build/"

demo: $(VENV)/.run.stamp
	$(BIN)/exeunt run digits

bitstream: $(VENV)/.run.stamp
	$(BIN)/exeunt run digits
	$(BIN)/exeunt bitstream digits --board $(BOARD)
	@test -d "$(DATA)/mnist" || { \
	  echo "make: DATA must be the folder that holds mnist/, got no $(DATA)/mnist:" \
	    "make bitstream DATA=FOLDER, or exeunt fetch mnist" >&2; exit 2; }
	$(BIN)/exeunt run mnist --data "$(DATA)"
	$(BIN)/exeunt bitstream mnist --data "$(DATA)" --board $(BOARD)

test: $(VENV)/.dev.stamp
	$(BIN)/python -m pytest -q $(SHARED) -m "not slow and not board and not bench"

test-all: $(VENV)/.dev.stamp
	$(BIN)/python -m pytest -q $(SHARED) -m "not board and not bench"

block: $(VENV)/.dev.stamp
	@test -n "$(BLOCK)" -a -d "rtl_tests/$(BLOCK)" || { \
	  echo "make: BLOCK must be a folder of rtl_tests, got '$(BLOCK)': make block BLOCK=mvu" >&2; \
	  exit 2; }
	CORNERS=$(CORNERS) $(BIN)/python -m pytest -q -m "not slow and not bench" rtl_tests/$(BLOCK)

# mypy sees the package as Python does after the install: four folders under one name
lint: $(VENV)/.dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf build/lint && mkdir -p build/lint/exeunt
	@ln -s $(CURDIR)/python/exeunt/* $(CURDIR)/quant $(CURDIR)/hls $(CURDIR)/boards \
	  $(CURDIR)/zoo build/lint/exeunt
	MYPYPATH=build/lint $(BIN)/mypy -p exeunt

formal: $(VENV)/.dev.stamp
	$(BIN)/python -m pytest -q -p no:cacheprovider rtl_tests/formal

bench: $(VENV)/.dev.stamp
	$(BIN)/python -m pytest -q -s -p no:cacheprovider -m bench

fuzz: $(VENV)/.dev.stamp
	$(BIN)/python rtl_tests/fuzz.py $(SEEDS) --first $(FIRST) --workers $(WORKERS) \
	  $(if $(LOG),--log $(LOG)) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

mutants: $(VENV)/.dev.stamp
	$(BIN)/python rtl_tests/mutants.py $(FILES) --workers $(WORKERS) --minutes $(MINUTES)

# built anew each time: a notebook is executed again, whatever has changed in what it calls
docs: $(VENV)/.docs.stamp
	@rm -rf build/docs
	$(BIN)/python -m sphinx -q -W --keep-going -E -j $(WORKERS) -c docs -d build/doctrees . build/docs
	@echo "build/docs/index.html"

venv: $(VENV)/.dev.stamp

clean:
	rm -rf build

# Everything is pinned, so pip resolves nothing; byte code is left to the first import.
$(VENV)/.run.stamp: requirements.txt pyproject.toml | tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing requirements.txt into $(VENV)"
	@$(PIP) -r requirements.txt
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev.stamp: requirements-dev.txt $(VENV)/.run.stamp | tools
	@echo "installing requirements-dev.txt into $(VENV)"
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.docs.stamp: requirements-docs.txt $(VENV)/.dev.stamp | tools
	@echo "installing requirements-docs.txt into $(VENV)"
	@$(PIP) -r requirements-docs.txt
	@touch $@

tools:
	@for tool in $(PYTHON) g++ make perl; do \
	  command -v $$tool >/dev/null 2>&1 || { \
	    echo "make: $$tool must be on the PATH, got no such tool: install it (Debian:" \
	      "apt-get install python3.11-venv g++ make perl) or set PYTHON" >&2; exit 3; }; \
	done
