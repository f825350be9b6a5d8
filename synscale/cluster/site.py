"""The site file of a cluster: account, partitions, GPU type and settings of rules.

It is `site.yaml` next to the SLURM profile. The profile imports this module from any working
directory and before Snakemake knows the workflow.
"""

import os
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

VARIABLE = "SYNTHETIC_SCALING_SITE"  # absolute path of the site file; SLURM jobs inherit it
FALLBACK = {"mem_mb": 2000, "runtime": 30}  # rules that declare none; MB and minutes
MEMORY = ("mem", "mem_mb", "mem_mib")  # names of one resource
# Resources that are text. The others are numbers or expressions.
TEXTS = (
    "slurm_partition",
    "slurm_account",
    "slurm_extra",
    "slurm_cluster",
    "cluster",
    "clusters",
    "constraint",
    "qos",
    "gpu_model",
    "mpi",
)


class SiteError(ValueError):
    """A site file with problems; the message lists all of them."""


@dataclass(frozen=True)
class Partition:
    """A partition of SLURM and the most that one job may request there. None: no limit is known.

    max_runtime: minutes; max_threads: of a node; max_gpu: of a job over all its nodes, 0 without
    GPUs; gpu_models, constraints: what the partition has, empty if unknown; cluster: jobs that
    name no cluster never go to a partition that names one.
    """

    name: str
    max_runtime: int | None = None
    max_mem_mb: int | None = None
    max_threads: int | None = None
    max_gpu: int = 0
    max_nodes: int | None = None
    gpu_models: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True)
class Site:
    """The content of `site.yaml` after its checks."""

    partitions: tuple[Partition, ...] = ()
    account: str | None = None
    qos: str | None = None
    gpu_model: str | None = None
    constraint: str | None = None
    default_resources: dict[str, int | str] = field(default_factory=dict)
    set_resources: dict[str, dict[str, int | str]] = field(default_factory=dict)
    set_threads: dict[str, int] = field(default_factory=dict)

    def defaults(self) -> dict[str, int | str]:
        """Return `default-resources` of the profile, values as on Snakemake's command line."""
        account = {} if self.account is None else {"slurm_account": self.account}
        values = FALLBACK | account | self.default_resources
        if {"mem", "mem_mib"} & self.default_resources.keys():
            del values["mem_mb"]
        return expressions(values)

    def rule_resources(self) -> dict[str, dict[str, int | str]]:
        """Return `set-resources`, rule -> resource -> value as on Snakemake's command line."""
        resources = {}
        for rule, values in self.set_resources.items():
            resources[rule] = expressions(self._on_nodes(values))
        return resources

    def _on_nodes(self, values: dict[str, int | str]) -> dict[str, int | str]:
        """Add what several nodes need: srun starts a launcher on each, with its share of GPUs."""
        nodes = values.get("nodes", 1)
        if nodes == 1:
            return values
        model = values.get("gpu_model", self.gpu_model)
        gpus = str(int(values["gpu"]) // int(nodes))
        share = f"{model}:{gpus}" if model else gpus
        several = {
            "mpi": "srun",
            "tasks": nodes,
            "tasks_per_gpu": 0,
            "slurm_extra": f"--gpus-per-node={share}",
        }
        return several | values


def expressions(values: dict[str, int | str]) -> dict[str, int | str]:
    """Write texts as Python literals: Snakemake evaluates them, and `a-b` would be a difference."""

    def literal(name: str, value: int | str) -> int | str:
        quoted = isinstance(value, str) and re.fullmatch(r"""'.*'|".*\"""", value, re.DOTALL)
        return repr(value) if name in TEXTS and not quoted else value

    return {name: literal(name, value) for name, value in values.items()}


def of_profile(folder: Path) -> Site:
    """Load the site file of a profile and let `current` find it, also in SLURM jobs.

    Raises
    ------
    SiteError
        If the file has problems, or if SLURM jobs could not start Python.
    """
    if re.search(r"\s", sys.executable):
        raise SiteError(
            f"{sys.executable}: the path of Python has a space, which Snakemake does not quote "
            "in SLURM jobs; create the environment (make figures) in a checkout whose path has none"
        )
    path = Path(folder).absolute() / "site.yaml"
    site = load(path)
    os.environ[VARIABLE] = str(path)
    return site


def current() -> Site | None:
    """Return the site of this run, or None if the run does not use the SLURM profile."""
    path = os.environ.get(VARIABLE)
    return _loaded(path) if path else None


@cache
def _loaded(path: str) -> Site:
    return load(Path(path))


def load(path: Path) -> Site:
    """Read and check a site file; a missing or empty one is a site without settings.

    Raises
    ------
    SiteError
        If anything in the file is wrong. The message has one line for each problem.
    """
    if not path.exists():
        return Site()
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SiteError(f"{path}: is not valid YAML ({reason}); correct the line") from None
    if content is None:
        return Site()
    if not isinstance(content, dict):
        example = "expected `key: value` lines); see site.example.yaml"
        raise SiteError(f"{path}: is no mapping ({content!r}, {example}")
    from synscale.cluster.site_check import Check  # it builds on the classes above

    check = Check(root)
    site = check.site(content)
    if check.problems:
        raise SiteError("\n".join(f"{path}: {problem}" for problem in check.problems))
    return site
