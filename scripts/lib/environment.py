"""The environment that jobs inherit from Snakemake."""

import difflib
import os
import sys
from pathlib import Path

from scripts.lib import datasets

KEYS = ["study", "hardware", "budget", "trust_lists", "paths", "container", "override"]  # of config.yaml


def check(config: dict) -> None:
    """Raises ValueError where a key of config.yaml is unknown, which a budget for one would be lost by, or names no study."""
    for key, value in config.items():
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(KEYS)}"
            raise ValueError(f"config.yaml: {key} = {value!r}: unknown key; {mend}")
    if not isinstance(config.get("study"), str):
        raise ValueError(f"config.yaml: study = {config.get('study')!r}: must be the name of a file of studies/, such as digits")


def container(config: dict, used: bool) -> str:
    """Return the image that jobs run in, or "" for none.

    Parameters
    ----------
    config : dict
        Content of config.yaml. `container` is the path of an image or an address of a registry.
    used : bool
        Whether jobs run in containers (--software-deployment-method apptainer).

    Raises
    ------
    ValueError
        If the value is no text without spaces, or if jobs need the image and there is none.
    """
    image = config.get("container") or ""
    where = f"config.yaml: container = {image!r}"
    if not isinstance(image, str) or any(letter.isspace() for letter in image):
        raise ValueError(f"{where}: not a path or an address without spaces; see docs/containers.md")
    if used and image and "://" not in image and not Path(image).is_file():
        raise ValueError(f"{where}: no such file in {os.getcwd()}; build it as docs/containers.md says")
    return image


def prepare(paths: dict[str, str] | None = None) -> None:
    """paths: where data sets lie, by name: config.yaml's, and what --config gives goes before it. Jobs find them in the environment, so that
    no rule has them among its params and data may be moved; a job that a scheduler starts reads the Snakefile, and comes here, anew.

    Jobs run `python -m scripts.x` with the Python that runs Snakemake, unless a profile deploys environments, and none but
    fetch_generator reaches out.

    Threads need no word here: Snakemake sets OMP_NUM_THREADS to what a rule declares. Raises ValueError where paths are none.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # glibc gives memory back to the system at every large tensor and asks for it again at the next: a sixth of the time of sampling small
    # images on a CPU. Elsewhere these two are not read.
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(1 << 30))
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
    if not isinstance(paths or {}, dict) or not all(isinstance(path, str) and path for path in (paths or {}).values()):
        raise ValueError(f"config.yaml: paths = {paths!r}: must be data sets and where they lie, name: path, with a space after the colon")
    for name, path in (paths or {}).items():
        os.environ[datasets.variable(name)] = os.path.abspath(os.path.expanduser(path))
