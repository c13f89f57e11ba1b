# Every target makes its own virtual environment; the stamp keeps it until pyproject.toml changes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO_OUT ?= demo-out
VIDEO  ?= synthetic:flood
LOSS   ?= 0.10
BURST  ?= 3
SEED   ?= 1
DATA   ?= ../shared
TRAIN_OUT ?= train-out
MINUTES ?= 60
DEVICE ?= cpu

.PHONY: demo test pytest check fmt bench-link bench-console bench-archive bench-post bench-post-chaos bench-workers bench-marks train-marks fuzz bench-codec bench-edge train train-refine clean

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[edge,base]'
	touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@

demo: $(VENV)/.demo
	$(BIN)/gvc-base rehearse "$(VIDEO)" --profile sik-64 --loss $(LOSS) --burst $(BURST) --seed $(SEED) --out "$(DEMO_OUT)"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Types are checked beside the tests. As many workers as there are cores: many tests keep time with radios.
test: $(VENV)/.dev
	$(MAKE) --no-print-directory -j 2 check pytest

pytest: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-link: $(VENV)/.dev
	$(BIN)/python -m tests.bench.link --out bench-out

# How many drones one base decodes, and what workers add to it.
bench-workers: $(VENV)/.dev
	$(BIN)/python -m tests.bench.workers --out bench-out $(BENCH)

bench-console: $(VENV)/.dev
	$(BIN)/python -m tests.bench.console --out bench-out

.PHONY: bench-restream
bench-restream: $(VENV)/.dev
	$(BIN)/python -m tests.bench.restream --out bench-out

bench-post: $(VENV)/.dev
	$(BIN)/python -m tests.bench.post --out bench-out $(BENCH)

bench-post-chaos: $(VENV)/.dev
	$(BIN)/python -m tests.bench.post_chaos $(BENCH)

# An archive of eight hours, made in minutes: size, replay start, seeks, and 100 times kill -9.
bench-archive: $(VENV)/.dev
	$(BIN)/python -m tests.bench.archive --out bench-out $(BENCH)

# Every parser, seeded and repeatable: exit code 1 on any exception or growing memory.
N      ?= 10000000
FUZZ_SEED ?= 1
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.run --inputs $(N) --seed $(FUZZ_SEED)

# Hours; it goes on where it was. BENCH takes more options: make bench-codec BENCH=--quick
bench-codec: $(VENV)/.bench
	$(BIN)/python -m tests.bench.codec --out bench-out/codec $(BENCH)

# Goes on where it was. DATA is a folder with photos/ and clips/; the calibration goes into the package.
MARKS_WORK ?= bench-out/marks/work
train-marks: $(VENV)/.dev
	$(BIN)/python -m tests.bench.marks.train --data "$(DATA)" --work "$(MARKS_WORK)"

bench-marks: $(VENV)/.dev
	$(BIN)/python -m tests.bench.marks.bench --data "$(DATA)" --work "$(MARKS_WORK)" --out bench-out/marks $(BENCH)
	$(BIN)/python -m tests.bench.marks.planted --data "$(DATA)" --out bench-out/planted --count 500 --seed 1

bench-edge: $(VENV)/.dev
	$(BIN)/python -m tests.bench.edge --out bench-out $(BENCH)

# Scenes, training and export; run again it goes on. DATA is a folder with photos/ and clips/.
TRAIN = $(BIN)/python -m gvc_base.train --data "$(DATA)" --out "$(TRAIN_OUT)" --minutes $(MINUTES) --device $(DEVICE) --weights "$(TRAIN_OUT)/weights"

train: $(VENV)/.dev
	$(TRAIN)

# The generative part of quality best; after train.
train-refine: $(VENV)/.dev
	$(TRAIN) --refine "$(TRAIN_OUT)/checkpoint.pt"

clean:
	rm -rf $(VENV) $(DEMO_OUT) bench-out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
