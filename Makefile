# `make figures`: every figure and table of the digits study. `make test`: lint and the fast tests.
# `make test-all`: the expensive tests too. Every target sets up its environment first;
# `make environment` does only that.

PYTHON ?= python3
VENV := .venv
LOCKS := envs/laptop.lock envs/cuda.lock
READY := $(VENV)/.ready
# Scripts in $(VENV)/bin contain the absolute path of the environment; modules run wherever it is.
RUN := $(VENV)/bin/python -m

# Settings of a shell that would break reproducible runs or slow every import.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONDONTWRITEBYTECODE

# Processes that run tests; `make test WORKERS=1` runs them one after another.
WORKERS ?= logical
PYTEST = $(RUN) pytest -q --durations=10
PARALLEL = -n $(WORKERS) --dist loadfile

# The marker contains the path of the environment. After a move or a copy the paths differ.
ifneq ("$(shell cat $(READY) 2>/dev/null)","$(realpath $(VENV))")
MOVED := moved
endif

.PHONY: environment moved figures report docs test test-all test-slurm lint lock hashes release-check clean

figures: $(READY)
	@echo 'Every figure and table of the digits study. Jobs and minutes follow when they are planned.'
	@$(RUN) snakemake --quiet host
	@echo 'Figures are in figures/digits/, tables in tables/digits/. One page with all of them: make report'

# One page with every figure, table and caption, and where they come from; it needs nothing else to be read.
report: figures
	@$(RUN) snakemake --report report.html

# The pages of docs/ as a site.
docs: $(READY)
	@$(RUN) sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	@echo 'The site is docs/_build/index.html.'

test: lint
	$(PYTEST) $(PARALLEL)

test-all: test
	$(PYTEST) $(PARALLEL) -m slow

# The workflow on a real SLURM, which the tests start and stop. Needs root on Debian; installs missing packages.
test-slurm: $(READY)
	command -v slurmctld slurmd slurmdbd munged mariadbd > /dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurm-wlm slurmdbd munge mariadb-server > /dev/null; }
	$(PYTEST) tests/slurm -n 2 --dist loadfile  # two clusters at a time: their tests mostly wait

lint: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile rules
	$(RUN) mypy
	$(RUN) pytest -q tests/unit/project/test_prose.py tests/unit/project/test_docstrings.py

# The environment is ready when the marker is newer than the locks; a broken installation has none.
$(READY): $(LOCKS) $(MOVED)
	$(PYTHON) envs/install.py $(VENV)
	@printf '%s' "$$(cd $(VENV) && pwd -P)" > $(READY)

environment: $(READY)

# The newest versions that laptop.in allows, and the hashes of their files.
lock:
	$(PYTHON) -m envs.lock --upgrade

# After laptop.in or a version in a lock was edited by hand.
hashes:
	$(PYTHON) -m envs.lock

# Whether versions, dates and generated pages agree, and the tree is committed.
release-check: $(READY)
	@$(RUN) scripts.release_check

clean:
	rm -rf results figures tables plan provenance report.html logs docs/_build .state .snakemake
