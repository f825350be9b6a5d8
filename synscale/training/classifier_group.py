"""The classifiers of one training job: their images, and the files that they become."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from synscale.runtime.torch_setup import use_onednn

from synscale.data import shard_index, shards
from synscale.models import classifier
from synscale.training import classifier_loop, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.distributed import ProcessGroup
from synscale.training.groups import GroupMember, train_group
from synscale.workflow.settings import as_json
from synscale.workflow.settings.training import ClassifierSettings, TrainingRun

Series = tuple[str, float | None]  # source and guidance scale


def load_series(
    runs: Iterable[TrainingRun], tars: dict[str, list[str]]
) -> dict[Series, stream.Images]:
    """Return the images that runs need, from the first of each source and guidance scale.

    Parameters
    ----------
    runs : iterable of TrainingRun
    tars : dict
        Source -> its shards, in order.

    Returns
    -------
    dict
        Source and guidance scale -> images, in memory if all of them fit.
    """
    counts: dict[Series, int] = {}
    for run in runs:
        for part in run.parts:
            key = part.source, part.guidance
            counts[key] = max(counts.get(key, 0), part.stop)
    sets = [stream.open_images(tars[source], at, count) for (source, at), count in counts.items()]
    return dict(zip(counts, stream.load_into_memory(sets), strict=True))


def images_of_run(run: TrainingRun, series: dict[Series, stream.Images]) -> stream.Images:
    """Return the images that a run trains on; `series` as `load_series` returns it."""
    parts = [series[p.source, p.guidance].between(p.start, p.stop) for p in run.parts]
    return parts[0].join(parts)  # type: ignore[arg-type]


def jobs_of(settings: ClassifierSettings, classes: int) -> list[ClassifierJob]:
    """Return the trainings of a group whose images have this number of classes."""
    model = settings.architecture, settings.image_size, settings.channels, classes
    return [ClassifierJob(run, *model, settings.recipe) for run in settings.runs]


def _members(
    jobs: list[ClassifierJob], tars: dict[str, list[str]], data: object, processes: ProcessGroup
) -> Iterator[GroupMember]:
    series = load_series([job.run for job in jobs], tars)
    for job in jobs:
        images = images_of_run(job.run, series)
        identity = as_json([job, data])
        description = {"build": job.build_arguments, "run": job.run, "training": job.recipe}
        yield GroupMember(
            name=job.run.name,
            identity=identity,
            train=partial(
                classifier_loop.train, job, images, identity=identity, processes=processes
            ),
            save=partial(classifier.save, description=description),
        )


def train_classifiers(
    settings: ClassifierSettings,
    index_files: list[str],
    classes: int,
    output: Path,
    state: Path,
    processes: ProcessGroup,
) -> None:
    """Train the classifiers of a group.

    Parameters
    ----------
    settings : ClassifierSettings
    index_files : list of str
        Shard indexes of the sources, in order.
    classes : int
    output, state : Path
        Folders, as of `train_group`.
    processes : ProcessGroup

    Raises
    ------
    SystemExit
        If a training diverges.
    ShardError
        If shards are missing or damaged.
    """
    tars = shards.by_source(shard_index.tars(index_files), settings.inputs)
    data = shard_index.identity(index_files)
    members = _members(jobs_of(settings, classes), tars, data, processes)
    with use_onednn(settings.recipe.precision == "bfloat16"):  # whose products it computes
        train_group(members, output, state, processes)
