"""The classifiers of one training job: their images, and the files that they become."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from synscale.runtime.torch_setup import use_onednn

import torch
import torch.nn.functional as F

from synscale.data import shard_index, shards
from synscale.models import classifier, starts
from synscale.models.checksums import WeightsError
from synscale.models.starts import StartWeights
from synscale.training import classifier_loop, held_out, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.distributed import ProcessGroup
from synscale.training.groups import GroupMember, train_group
from synscale.workflow.runs import as_run
from synscale.workflow.settings import as_json
from synscale.workflow.settings.training import ClassifierSettings, TrainingRun

Series = tuple[str, float | None]  # source and guidance scale


@dataclass(frozen=True)
class ClassifierLoss:
    """Cross-entropy of a classifier.

    Parameters
    ----------
    images : InMemoryImages
    """

    images: stream.InMemoryImages

    def __call__(self, model: torch.nn.Module) -> float:
        """Return the mean loss of a model, in nats."""
        device = next(model.parameters()).device
        total = 0.0
        parts = zip(
            self.images.pixels.split(held_out.AT_ONCE),
            self.images.class_ids.split(held_out.AT_ONCE),
            strict=True,
        )
        with held_out.evaluating(model):
            for pixels, class_ids in parts:
                inputs = classifier.inputs(model, pixels.to(device))
                logits = model.forward(inputs).float()  # not compiled, because batches differ
                labels = class_ids.to(device)
                total += F.cross_entropy(logits, labels, reduction="sum").item()
        return total / len(self.images)


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
    """Return the images that a run trains on; `series` as `load_series` returns it.

    Parameters
    ----------
    run : TrainingRun
        The training run.
    series : dict of Series to Images
        As `load_series` returns it.
    """
    parts = [series[p.source, p.guidance].between(p.start, p.stop) for p in run.parts]
    return parts[0].join(parts)  # type: ignore[arg-type]


def jobs_of(settings: ClassifierSettings, classes: int) -> list[ClassifierJob]:
    """Return the trainings of a group whose images have this number of classes.

    Parameters
    ----------
    settings : ClassifierSettings
        Settings of the group.
    classes : int
        Number of classes.
    """
    model = settings.architecture, settings.image_size, settings.channels, classes
    return [ClassifierJob(run, *model, settings.recipe) for run in settings.runs]


def _members(
    jobs: list[ClassifierJob],
    tars: dict[str, list[str]],
    data: object,
    processes: ProcessGroup,
    loss: ClassifierLoss | None,
    start: StartWeights | None,
) -> Iterator[GroupMember]:
    series = load_series([job.run for job in jobs], tars)
    for job in jobs:
        images = images_of_run(job.run, series)
        identity = as_json([job, data, start.identity] if start else [job, data])
        timm_model = {"timm_model": start.timm_model} if start and start.timm_model else {}
        build = job.build_arguments | timm_model
        description = {"build": build, "run": job.run, "training": job.recipe}
        work = partial(classifier_loop.train, job, images, held_out_loss=loss, start=start)
        yield GroupMember(
            source=job.run.source,
            name=job.run.name,
            identity=identity,
            train=partial(work, identity=identity, processes=processes),
            save=partial(classifier.save, description=description),
        )


def load_start(settings: ClassifierSettings, path: str | None) -> StartWeights | None:
    """Return the weights that the classifiers of a group start from; None if they are random.

    Parameters
    ----------
    settings : ClassifierSettings
    path : str or None
        Folder of the released weights, or of the group of the run that they start from.

    Raises
    ------
    SystemExit
        If released weights do not fit the architecture.
    """
    architecture = settings.architecture
    if path is None:
        return None
    if run := architecture.start_run:
        return starts.of_run(Path(path) / f"{as_run(run).name}.safetensors")
    try:
        return starts.of_pretrained(path, architecture, settings.channels)
    except WeightsError as error:
        raise SystemExit(f"{path}: {error}") from None


def train_classifiers(
    settings: ClassifierSettings,
    index_files: list[str],
    classes: int,
    evaluation: list[str],
    start: str | None,
    output: Path,
    histories: Path,
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
    evaluation : list of str
        Tar of the evaluation set whose images are held out; none records no held-out loss.
    start : str or None
        As of `load_start`.
    output, histories, state : Path
        As of `train_group`.
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
    loss = None
    if evaluation and processes.is_main:
        count = held_out.count_of(settings.recipe.batch_size)
        loss = ClassifierLoss(held_out.read_evenly(evaluation[0], count))
    weights = load_start(settings, start)
    members = _members(jobs_of(settings, classes), tars, data, processes, loss, weights)
    with use_onednn(settings.recipe.precision == "bfloat16"):  # whose products it computes
        train_group(members, output, histories, state, processes)
