"""The environment that jobs inherit from Snakemake."""

import os
import sys
from pathlib import Path


def prepare() -> None:
    """Jobs run `python -m scripts.x` with the Python that runs Snakemake, unless a profile deploys environments, and never reach out.

    No OpenMP or BLAS thread beyond what a rule declares: Snakemake sets OMP_NUM_THREADS itself.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.environ["HF_HUB_OFFLINE"] = "1"
