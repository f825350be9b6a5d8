"""Settings of the jobs that train classifiers and CLIP models."""

from dataclasses import dataclass
from typing import TypeVar

from synscale.study.models import Study, TrainingPart
from synscale.study.models.classifiers import Architecture, Training
from synscale.study.models.clip import ClipArchitecture, ClipTraining
from synscale.workflow import targets
from synscale.workflow.runs import (
    group_runs,
    iterations_of,
    parts_of_run,
    training_inputs,
    training_recipe,
)
from synscale.workflow.settings import Settings
from synscale.workflow.settings.generation import HubWeights, hub_weights
from synscale.workflow.shards import shards_until

Recipe = TypeVar("Recipe", Training, ClipTraining)


@dataclass(frozen=True)
class TrainingRun:
    """A run of a training job.

    Parameters
    ----------
    source : str
    name : str
        Name within the source, as of `runs.Run`.
    seed : int
    iterations : int
    parts : tuple of TrainingPart
        Images that it trains on.
    """

    source: str
    name: str
    seed: int
    iterations: int
    parts: tuple[TrainingPart, ...] = ()

    @property
    def full_name(self) -> str:
        """Source and run, as they are printed."""
        return f"{self.source} {self.name}"


@dataclass(frozen=True)
class _TrainingSettings(Settings):
    """What both kinds of trainings have in common.

    Parameters
    ----------
    runs : tuple of TrainingRun
    inputs : dict
        Source -> number of its shards. The job is given the shards of one source after the other.
    image_size : int
        Pixels a side that the model sees.
    channels : int
        Channels of the stored images.
    """

    runs: tuple[TrainingRun, ...]
    inputs: dict[str, int]
    image_size: int
    channels: int


@dataclass(frozen=True)
class ClassifierSettings(_TrainingSettings):
    """A group of classifiers; `recipe` has what the architecture sets in its place."""

    architecture: Architecture
    recipe: Training


@dataclass(frozen=True)
class ClipSettings(_TrainingSettings):
    """A group of CLIP models."""

    architecture: ClipArchitecture
    recipe: ClipTraining


def _common(study: Study, source: str, group: str) -> dict:
    runs = group_runs(study, source, group)
    recipe = training_recipe(study, runs[0].architecture)
    inputs = training_inputs(study, source, group)
    return {
        "runs": tuple(
            TrainingRun(
                source=run.source,
                name=run.name,
                seed=run.seed,
                iterations=iterations_of(study, run.architecture, run.size),
                parts=tuple(parts_of_run(study, run)),
            )
            for run in runs
        ),
        "inputs": {
            name: sum(len(shards_until(last)) for last in lasts) for name, lasts in inputs.items()
        },
        "image_size": recipe.image_size or study.image_size,
        "channels": study.channels,
        "architecture": recipe.architectures[runs[0].architecture],
    }


def _recipe(model: type[Recipe], values: Training | ClipTraining, **changes) -> Recipe:
    """Return the fields of a recipe without the other keys of its section of the study."""
    fields = {name: getattr(values, name) for name in model.model_fields}
    return model.model_construct(**fields | {"image_size": None} | changes)


def classifier_settings(study: Study, source: str, group: str) -> ClassifierSettings:
    """Return the settings of a job that trains classifiers.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    ClassifierSettings
        Learning rate and gradient clip of the architecture, if it has any, are in the recipe, and
        its factor of iterations is in the runs.
    """
    common = _common(study, source, group)
    architecture = common["architecture"]
    names = "learning_rate", "gradient_clip"
    values = {name: getattr(architecture, name) for name in names}
    replaced = {name: value for name, value in values.items() if value is not None}
    unused = dict.fromkeys([*names, "iterations_factor"])
    common["architecture"] = architecture.model_copy(update=unused)
    return ClassifierSettings(**common, recipe=_recipe(Training, study.classifiers, **replaced))


def start_settings(study: Study, architecture: str) -> HubWeights:
    """Return the released weights that an architecture starts from. Raise NotInStudy without any.

    Parameters
    ----------
    study : Study
    architecture : str
        Name of an architecture of classifiers.
    """
    row = study.classifiers.architectures.get(architecture)
    if row is None or row.pretrained is None:
        where = f"{study.title}: classifiers.architectures.{architecture}"
        raise targets.NotInStudy(f"{where} starts from no released weights; nothing is downloaded")
    return hub_weights(row.pretrained, "classifier")


def clip_settings(study: Study, source: str, group: str) -> ClipSettings:
    """Return the settings of a job that trains CLIP models.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    ClipSettings
    """
    assert study.clip is not None
    return ClipSettings(**_common(study, source, group), recipe=_recipe(ClipTraining, study.clip))
