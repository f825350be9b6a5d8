"""Settings of the jobs that evaluate the checkpoints of the paper's authors."""

from dataclasses import dataclass, replace

from synscale.study.models import Study
from synscale.study.models.author_checkpoints import PublishedNumber
from synscale.workflow import targets
from synscale.workflow.settings import Settings
from synscale.workflow.settings.evaluation import (
    EvaluatedRun,
    EvaluationSettings,
    clip_evaluation_settings,
    evaluation_settings,
)


@dataclass(frozen=True)
class ConversionSettings(Settings):
    """What a converted checkpoint depends on, besides its file."""

    name: str
    kind: str


@dataclass(frozen=True)
class PublishedCheckpoint:
    """What is published of a checkpoint: its kind, training images and metrics."""

    kind: str
    images: int
    numbers: dict[str, PublishedNumber]


@dataclass(frozen=True)
class AuthorCheckpointTableSettings(Settings):
    """Checkpoints of the table, by name."""

    checkpoints: dict[str, PublishedCheckpoint]


def conversion_settings(study: Study, checkpoint: str) -> ConversionSettings:
    """Return the settings that convert a checkpoint."""
    return ConversionSettings(checkpoint, study.author_checkpoints[checkpoint].kind)


def author_checkpoint_settings(study: Study, checkpoint: str) -> EvaluationSettings:
    """Return the settings of a group with one run, whose size is its number of training images."""
    row = study.author_checkpoints[checkpoint]
    settings_of = clip_evaluation_settings if row.kind == "clip" else evaluation_settings
    run = EvaluatedRun(checkpoint, checkpoint, None, row.kind, row.images, seed=None)
    return replace(settings_of(study, checkpoint, row.kind), runs=(run,))


def author_checkpoint_table_settings(study: Study) -> AuthorCheckpointTableSettings:
    """Return the settings of the table. Raises NotInStudy if the study has no checkpoints."""
    if not study.author_checkpoints:
        fix = "add them, with kind, file and images of each"
        raise targets.NotInStudy(f"{study.title}: the study has no author_checkpoints; {fix}")
    return AuthorCheckpointTableSettings(
        {
            name: PublishedCheckpoint(row.kind, row.images, row.numbers)
            for name, row in study.author_checkpoints.items()
        }
    )
