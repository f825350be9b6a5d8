# `make figures`: every figure and table of the digits study. `make test`: lint and the fast tests.
# `make test-all`: the expensive tests too. Every target sets up its environment first.

PYTHON ?= python3
VENV := .venv
LOCK := envs/laptop.lock
READY := $(VENV)/.ready

# Settings of a shell that would break reproducible runs or slow every import.
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE

# Processes that run tests; `make test WORKERS=1` runs them one after another.
WORKERS ?= logical
PYTEST = $(VENV)/bin/python -m pytest -q --durations=10
PARALLEL = -n $(WORKERS) --dist loadfile

.PHONY: figures report test test-all test-slurm lint lock hashes clean

figures: $(READY)
	@$(VENV)/bin/snakemake
	@echo 'Every figure is in figures/digits/, every table in tables/digits/.'

# One page with every figure, table and caption, and where they come from; it needs nothing else to be read.
report: figures
	@$(VENV)/bin/snakemake --report report.html

test: lint
	$(PYTEST) $(PARALLEL)

test-all: test
	$(PYTEST) $(PARALLEL) -m slow

# The workflow on a real SLURM, which the tests start and stop. Needs root on Debian; installs missing packages.
test-slurm: $(READY)
	command -v slurmctld slurmd slurmdbd munged mariadbd > /dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurm-wlm slurmdbd munge mariadb-server > /dev/null; }
	$(PYTEST) tests/slurm

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/snakemake --lint

# Of torch there are two builds of one version. Asked for hashes, pip takes that for CUDA wherever it is run, as the index tells its hash; so pip
# chooses first, and the hash of what it chose must be in the lock. Last comes what the build for CUDA needs besides, by version alone.
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
TORCH = $$(grep -o '^torch==[^ ]*' $(LOCK))

# The environment is ready when the marker is newer than the lock; a broken installation leaves no marker.
$(READY): $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) download --quiet --no-deps --dest $(VENV)/torch $(TORCH)
	grep --quiet "$$(sha256sum $(VENV)/torch/torch-*.whl | cut -d ' ' -f 1)" $(LOCK)
	$(PIP) install --quiet --no-deps $(VENV)/torch/torch-*.whl
	$(PIP) install --quiet --no-deps --require-hashes --requirement $(LOCK)
	$(PIP) install --quiet $(TORCH)
	rm -r $(VENV)/torch
	@touch $(READY)

# Exact versions of what laptop.in names, as they are in a new environment today, and the hashes of their files.
lock:
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement envs/laptop.in
	$(VENV)/bin/python -m pip freeze | sed 's/+cpu$$//' > $(LOCK)
	$(MAKE) hashes
	@touch $(READY)

# After a version was added to the lock by hand.
hashes:
	envs/hash_lock.sh

clean:
	rm -rf results figures tables plan provenance report.html logs .state .snakemake
