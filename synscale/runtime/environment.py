"""Keys of config.yaml, and the environment variables that jobs inherit from Snakemake."""

import importlib.util
import os
import sys
from pathlib import Path

from synscale.data import datasets
from synscale.planning import budget
from synscale.study.checks.messages import suggest

# Set by environment modules for another Python: jobs would import its packages, fail to start, or
# fail to find `scripts` in the working folder.
FOREIGN_PYTHON = ["PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH"]
# Keys of config.yaml.
KEYS = ["study", "hardware", "show_plan", "budget", "skip_finished_shards", "paths"]
KEYS += ["published_results", "container", "override", "tensorboard"]
# Keys that are true or false.
SWITCHES = {"show_plan": True, "skip_finished_shards": False, "published_results": True}
TENSORBOARD = "SYNSCALE_TENSORBOARD"  # environment variable: folder for TensorBoard's files
RENAMED = {"trust_lists": "skip_finished_shards"}  # former keys


def check(config: dict) -> None:
    """Raise ValueError if a key of config.yaml is unknown, or its value has the wrong type.

    Otherwise a misspelt `budget` would be ignored.
    """
    for key, value in config.items():
        if key in RENAMED:
            raise ValueError(f"config.yaml: {key}: renamed to {RENAMED[key]!r}; rename the key")
        if key not in KEYS:
            fix = suggest(str(key), KEYS, f"known: {', '.join(KEYS)}")
            raise ValueError(f"config.yaml: {key} = {value!r}: unknown key; {fix}")
    budget.read_budget(config.get("budget"))
    for key in SWITCHES:
        switch(config, key)
    study = config.get("study")
    if not isinstance(study, str):
        raise ValueError(
            f"config.yaml: study = {study!r}: must be the name of a file of studies/, "
            "such as digits"
        )


def switch(config: dict, key: str) -> bool:
    """Return a key of config.yaml that is true or false; --config gives it as text.

    Parameters
    ----------
    config : dict
        Content of config.yaml.
    key : str
        Key of `SWITCHES`.

    Raises
    ------
    ValueError
        If the value is something else.
    """
    value = config.get(key, SWITCHES[key])
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(
            f"config.yaml: {key}: not a switch ({value!r}, expected true or false); "
            "write one of the two"
        )
    return text == "true"


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
        If the value is not text without spaces, or if jobs need the image and it is missing.
    """
    image = config.get("container") or ""
    where = f"config.yaml: container = {image!r}"
    if not isinstance(image, str) or any(letter.isspace() for letter in image):
        raise ValueError(
            f"{where}: not a path or an address without spaces; see docs/guides/containers.md"
        )
    if used and image and "://" not in image and not Path(image).is_file():
        raise ValueError(
            f"{where}: no such file in {os.getcwd()}; build it (docs/guides/containers.md)"
        )
    return image


def tensorboard(config: dict) -> None:
    """Let jobs write their histories for TensorBoard too, if config.yaml names a folder for it.

    Raises
    ------
    ValueError
        If the value is not a path, or if TensorBoard is not installed.
    """
    folder = config.get("tensorboard") or ""
    where = f"config.yaml: tensorboard = {folder!r}"
    if not isinstance(folder, str):
        raise ValueError(f"{where}: not a path; write the name of a folder, or '' for none")
    if folder and importlib.util.find_spec("tensorboard") is None:
        fix = "run `python -m pip install tensorboard`, or remove the value"
        raise ValueError(f"{where}: package tensorboard is not installed; {fix}")
    if folder:
        os.environ[TENSORBOARD] = os.path.abspath(folder)
    else:
        os.environ.pop(TENSORBOARD, None)


def prepare(paths: dict[str, str] | None = None) -> None:
    """Set the environment variables that jobs inherit.

    Jobs run `python -m scripts.x` with the Python that runs Snakemake, unless a profile deploys
    environments, and only rules that download use the network. Paths of data sets are in no rule's
    params, so data may be moved. A job of a scheduler reads the Snakefile and calls this again.
    Snakemake itself sets OMP_NUM_THREADS to the threads of a rule.

    Parameters
    ----------
    paths : dict of str to str, optional
        Folder of each data set by name, as config.yaml and --config have it.

    Raises
    ------
    ValueError
        If `paths` is not a mapping of names to paths.
    """
    for name in FOREIGN_PYTHON:
        os.environ.pop(name, None)
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    os.environ["PATH"] = os.pathsep.join(folders)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # glibc returns memory to the system after every large tensor and requests it again for the
    # next, a sixth of the time of sampling small images on a CPU. Other systems ignore these two.
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(1 << 30))
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
    paths = paths or {}
    values = paths.values() if isinstance(paths, dict) else [None]
    if not all(isinstance(path, str) and path for path in values):
        raise ValueError(
            f"config.yaml: paths = {paths!r}: must be names and paths of data sets, name: path, "
            "with a space after the colon"
        )
    for name, path in paths.items():
        os.environ[datasets.variable(name)] = os.path.abspath(os.path.expanduser(path))
