"""Settings of the jobs that evaluate models and score images."""

from dataclasses import asdict, dataclass, field

from synscale.study.models import Study
from synscale.study.models.clip import Task
from synscale.study.models.data import FileSet, classified
from synscale.study.models.sources import SyntheticSource
from synscale.workflow import targets
from synscale.workflow.paths import reference_run
from synscale.workflow.runs import Run, group_runs
from synscale.workflow.settings import Settings
from synscale.workflow.settings.generation import HubWeights, hub_weights


@dataclass(frozen=True)
class EvaluatedRun:
    """A trained model, by the name of its file and the columns of its rows of metrics.

    The seed is None if it is not known.
    """

    name: str
    source: str
    guidance: float | None
    architecture: str
    size: int
    seed: int | None

    @property
    def columns(self) -> dict:
        """Return the columns that identify the run in a table of metrics."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Settings):
    """What the metrics of a group of classifiers depend on.

    Parameters
    ----------
    runs : tuple of EvaluatedRun
    sets : tuple of str
        Evaluation sets, in the order of their tars.
    masked : bool
        Whether a set may lack some of the study's classes.
    """

    runs: tuple[EvaluatedRun, ...]
    sets: tuple[str, ...]
    masked: bool = False


@dataclass(frozen=True, kw_only=True)
class ClipEvaluationSettings(EvaluationSettings):
    """What the metrics of a group of CLIP models depend on, in addition.

    Parameters
    ----------
    templates : list of str or str
        Texts for the study's classes.
    tasks : dict of str to Task
    sets_of_other_classes : dict of str to FileSet
        Evaluation sets with a class table and templates; only CLIP is evaluated on them.
    """

    templates: list[str] | str
    tasks: dict[str, Task]
    sets_of_other_classes: dict[str, FileSet] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreSettings(Settings):
    """What the scores of a source depend on.

    Parameters
    ----------
    source : str
    guidance : tuple of float or None
        Guidance scales; (None,) for images without one.
    images : int or None
        Images at each guidance scale; None for all of the evaluation set, the score of real
        images.
    reference : Run or HubWeights
    """

    source: str
    guidance: tuple[float | None, ...]
    images: int | None
    reference: Run | HubWeights


def _evaluated_runs(study: Study, source: str, group: str) -> tuple[EvaluatedRun, ...]:
    runs = group_runs(study, source, group)
    return tuple(EvaluatedRun(run.name, **asdict(run)) for run in runs)


def evaluation_settings(study: Study, source: str, group: str) -> EvaluationSettings:
    """Return the settings that evaluate a group of classifiers."""
    return EvaluationSettings(
        runs=_evaluated_runs(study, source, group),
        sets=tuple(classified(study.data)),
        masked=study.data.kind == "files",
    )


def _sets_of_other_classes(study: Study) -> dict[str, FileSet]:
    if study.data.kind != "files":
        return {}
    sets = study.data.evaluation.items()
    return {name: row for name, row in sets if isinstance(row, FileSet) and row.classes}


def clip_tables(study: Study) -> list[str]:
    """Return the files with classes and templates of the sets that only CLIP is evaluated on."""
    sets = _sets_of_other_classes(study).values()
    paths = {path for row in sets for path in (row.classes, row.templates)}
    return sorted(path for path in paths if path)


def clip_evaluation_settings(study: Study, source: str, group: str) -> ClipEvaluationSettings:
    """Return the settings that evaluate a group of CLIP models."""
    return ClipEvaluationSettings(
        runs=_evaluated_runs(study, source, group),
        sets=tuple(study.data.evaluation),
        masked=study.data.kind == "files",
        templates=study.clip.templates,
        tasks=study.clip.tasks,
        sets_of_other_classes=_sets_of_other_classes(study),
    )


def reference_settings(study: Study) -> HubWeights:
    """Return which weights are downloaded. Raises NotInStudy if the reference is a run."""
    reference = study.scores.reference
    if reference.kind == "run":
        where = f"{study.title}: scores.reference"
        raise targets.NotInStudy(f"{where} is a run of the study; nothing is downloaded for it")
    return hub_weights(reference, "classifier")


def scored_scales(study: Study, source: str) -> tuple[float | None, ...]:
    """Return the guidance scales at which a source is scored; (None,) if it has none."""
    row = study.sources[source]
    return tuple(row.images) if isinstance(row, SyntheticSource) else (None,)


def score_settings(study: Study, source: str) -> ScoreSettings:
    """Return the settings that score the images of a source."""
    return ScoreSettings(
        source=source,
        guidance=scored_scales(study, source),
        images=None if study.sources[source].kind == "real" else study.scores.images,
        reference=reference_run(study) or reference_settings(study),
    )
