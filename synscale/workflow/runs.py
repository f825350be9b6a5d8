"""Training runs, the groups that share a job, and what each group reads."""

from dataclasses import dataclass
from functools import cache

from synscale.study.models import Study, TrainingPart, expand_curves, resolve_mixture
from synscale.study.models.classifiers import Classifiers
from synscale.study.models.clip import Clip
from synscale.workflow.shards import last_shards


@dataclass(frozen=True)
class Run:
    """One model to train.

    Parameters
    ----------
    source : str
    guidance : float or None
        None for real images and mixtures.
    architecture : str
    size : int
        Training images.
    seed : int
    """

    source: str
    guidance: float | None
    architecture: str
    size: int
    seed: int

    @property
    def curve(self) -> str:
        """Name of the run's curve within its source: architecture and guidance scale."""
        guidance = "" if self.guidance is None else f"-g{self.guidance:g}"
        return f"{self.architecture}{guidance}"

    @property
    def name(self) -> str:
        """Name of the run within its source, for paths and logs."""
        return f"{self.curve}-n{self.size}-seed{self.seed}"


def training_recipe(study: Study, architecture: str) -> Classifiers | Clip:
    """Return the recipe of an architecture: `classifiers` or `clip` of the study."""
    clip = study.clip
    return clip if clip and architecture in clip.architectures else study.classifiers


def training_runs(study: Study, experiments: list[str] | None = None) -> list[Run]:
    """Return every training run of these experiments (all by default), each once."""
    runs: dict[Run, None] = {}
    for name in study.experiments if experiments is None else experiments:
        experiment = study.experiments[name]
        for source, guidance in expand_curves(experiment.curves, study.sources):
            for architecture in experiment.architectures:
                for size in experiment.sizes:
                    for seed in experiment.seeds:
                        runs[Run(source, guidance, architecture, size, seed)] = None
    return list(runs)


def group_of(study: Study, run: Run) -> str:
    """Return the name of the group, the runs of one job, that contains a run.

    Parameters
    ----------
    study : Study
    run : Run
        A training run.
    """
    names = {"all": run.architecture, "curve": run.curve, "one": run.name}
    return names[training_recipe(study, run.architecture).runs_per_job]


@cache
def _by_group(study: Study) -> dict[tuple[str, str], list[Run]]:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in training_runs(study):
        groups.setdefault((run.source, group_of(study, run)), []).append(run)
    return groups


def group_runs(study: Study, source: str, group: str) -> list[Run]:
    """Return the runs of a group, all of which have one architecture."""
    return _by_group(study).get((source, group), [])


def run_groups(study: Study, experiments: list[str] | None = None) -> list[tuple[str, str]]:
    """Return source and group of each training job that these experiments need, each once."""
    runs = training_runs(study, experiments)
    return list(dict.fromkeys((run.source, group_of(study, run)) for run in runs))


def parts_of_run(study: Study, run: Run) -> list[TrainingPart]:
    """Return the images that a run trains on.

    Parameters
    ----------
    study : Study
    run : Run
        A training run.
    """
    return resolve_mixture(study.sources, run.source, run.guidance, run.size, run.seed)


def training_inputs(study: Study, source: str, group: str) -> dict[str, list[str]]:
    """Return the shards that the runs of a group need.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    dict
        Source -> the last shard of each of its series. A series has one guidance scale, or all.
    """
    last_of_series: dict[tuple[str, str], str] = {}
    for run in group_runs(study, source, group):
        for part in parts_of_run(study, run):
            [last] = last_shards(study, part.source, part.stop, part.guidance)
            key = part.source, last[:-5]
            last_of_series[key] = max(last_of_series.get(key, ""), last)
    inputs: dict[str, list[str]] = {}
    for (name, _), last in last_of_series.items():
        inputs.setdefault(name, []).append(last)
    return inputs
