"""Training runs, the groups that share a job, and what each group reads."""

from dataclasses import dataclass
from functools import cache

from synscale.study.models import Study, expand_curves, parts_of
from synscale.workflow.shards import last_shards


@dataclass(frozen=True)
class Run:
    """One model to train: `size` images of a source at a guidance scale (None for real images and
    mixtures), an architecture, a seed.
    """

    source: str
    guidance: float | None
    architecture: str
    size: int
    seed: int

    @property
    def name(self) -> str:
        guidance = "" if self.guidance is None else f"-g{self.guidance:g}"
        return f"{self.architecture}{guidance}-n{self.size}-seed{self.seed}"


def training_recipe(study: Study, architecture: str):
    """The training recipe that an architecture belongs to: the study's `classifiers` or its
    `clip`.
    """
    return (
        study.clip if study.clip and architecture in study.clip.architectures else study.classifiers
    )


def training_runs(study: Study, experiments: list[str] | None = None) -> list[Run]:
    """Every training run of these experiments (all by default), each once."""
    found = {}
    for name in study.experiments if experiments is None else experiments:
        experiment = study.experiments[name]
        for source, guidance in expand_curves(experiment.curves, study.sources):
            for architecture in experiment.architectures:
                for size in experiment.sizes:
                    for seed in experiment.seeds:
                        found[Run(source, guidance, architecture, size, seed)] = None
    return list(found)


def group_of(study: Study, run: Run) -> str:
    """Name of the group, one job's worth, that a run is trained in."""
    return (
        run.architecture
        if training_recipe(study, run.architecture).runs_per_job == "all"
        else run.name
    )


@cache
def _by_group(study: Study) -> dict[tuple[str, str], list[Run]]:
    found: dict[tuple[str, str], list[Run]] = {}
    for run in training_runs(study):
        found.setdefault((run.source, group_of(study, run)), []).append(run)
    return found


def group_runs(study: Study, source: str, group: str) -> list[Run]:
    return _by_group(study).get((source, group), [])


def run_groups(study: Study, experiments: list[str] | None = None) -> list[tuple[str, str]]:
    """(source, group) of each training job that these experiments need, each once."""
    return list(
        dict.fromkeys(
            (run.source, group_of(study, run)) for run in training_runs(study, experiments)
        )
    )


def training_inputs(study: Study, source: str, group: str) -> dict[str, list[str]]:
    """Sources whose images the runs of a group need, and of each the last shard of every series of
    shards that it needs: a series is of one guidance scale, or of all.
    """
    most: dict[tuple[str, str], str] = {}
    for run in group_runs(study, source, group):
        for part in parts_of(study.sources, run.source, run.guidance, run.size, run.seed):
            end = part.get("start", 0) + part["images"]
            [last] = last_shards(study, part["source"], end, part["guidance"])
            most[part["source"], last[:-5]] = max(most.get((part["source"], last[:-5]), ""), last)
    found: dict[str, list[str]] = {}
    for (own, _), last in most.items():
        found.setdefault(own, []).append(last)
    return found
