"""The site file of a cluster, `site.yaml` next to the SLURM profile: account, partitions, and settings of single rules."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Partition:
    """A partition of SLURM and the most that one job may request there.

    max_runtime: minutes; max_threads: of a node; max_gpu: of a job over all its nodes, 0 without GPUs. None: no limit is known.
    """

    name: str
    max_runtime: int | None = None
    max_mem_mb: int | None = None
    max_threads: int | None = None
    max_gpu: int = 0


@dataclass(frozen=True)
class Site:
    """What `site.yaml` says, after its checks."""

    partitions: tuple[Partition, ...] = ()
    account: str | None = None
    qos: str | None = None
    gpu_model: str | None = None
    constraint: str | None = None
    default_resources: dict[str, int | str] = field(default_factory=dict)
    set_resources: dict[str, dict[str, int | str]] = field(default_factory=dict)
    set_threads: dict[str, int] = field(default_factory=dict)
