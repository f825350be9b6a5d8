"""Settings of the jobs that read real images."""

from dataclasses import dataclass, replace

from synscale.study.models import Study
from synscale.study.models.base import place_of
from synscale.study.models.data import EvaluationSet, MisreadImages, ShiftedSet, WriterSet
from synscale.workflow.settings import Settings
from synscale.workflow.shards import (
    held_out_of,
    images_needed,
    images_of_shift,
    images_per_shard_of_split,
    is_elsewhere,
    is_in_files,
    is_pairs,
    shift_of,
)


@dataclass(frozen=True)
class StoredImages:
    """How images are stored: squares of `size` pixels a side with 1 or 3 channels.

    `format` is png, jpeg or webp; `quality` (1 to 100) is that of jpeg and webp.
    """

    size: int
    channels: int
    format: str = "png"
    quality: int | None = None


@dataclass(frozen=True)
class HeldOutImages:
    """Which images of a data set are held out of training: a fraction of each class."""

    fraction: float
    seed: int


@dataclass(frozen=True)
class IndexSettings(Settings):
    """Settings of `index_data`: which data set in files a split is, and how it is ordered.

    The number of images that the study uses is not among them, so a study may use more later.

    Attributes
    ----------
    dataset : str
        Name of the data set; or a path, which has a / in it.
    is_training : bool
        Whether the images are trained on.
    is_pairs : bool
        Whether they have texts and no classes.
    skip : str or None
        Text file of the images that are left out.
    is_elsewhere : bool
        Whether they were generated elsewhere.
    has_prompts : bool
        Whether each image of a class has a text, too.
    held_out : HeldOutImages or None
        Images that a set to train on lacks, and of which a set to evaluate on consists.
    part : tuple or None
        Half-open range of the images to train on that the split consists of; None is the end.
    measured : StoredImages or None
        How the images are stored on which captions are measured; None: no captions.
    """

    dataset: str
    is_training: bool
    is_pairs: bool = False
    skip: str | None = None
    is_elsewhere: bool = False
    has_prompts: bool = False
    held_out: HeldOutImages | None = None
    part: tuple[int, int | None] | None = None
    measured: StoredImages | None = None


@dataclass(frozen=True)
class DataSettings(Settings):
    """Settings of `prepare_data`: one shard of a split.

    Attributes
    ----------
    images : IndexSettings or EvaluationSet
        What the split consists of: a data set in files, or digits.
    range : tuple of int or None
        Half-open range of images that the shard holds; None is all of them, in their order.
    balanced : int or None
        Digits: number of images, balanced over the classes, that the split must have.
    trained_on : tuple of int or None
        Digits: forms that the model behind an adversarial set learns from.
    stored : StoredImages or None
        Files: how images are stored.
    shift : ShiftedSet or None
        How the images are changed, or which of them are selected.
    training : DataSettings or None
        First images of a training set, which the model behind misread images is trained on.
    """

    images: IndexSettings | EvaluationSet
    range: tuple[int, int] | None = None
    balanced: int | None = None
    trained_on: tuple[int, ...] | None = None
    stored: StoredImages | None = None
    shift: ShiftedSet | None = None
    training: "DataSettings | None" = None

    @property
    def kind(self) -> str:
        """`files`, or the kind of the set of digits."""
        return "files" if isinstance(self.images, IndexSettings) else self.images.kind


def index_settings(study: Study, split: str) -> IndexSettings:
    """Return the settings of the index of a split of a data set in files."""
    if is_elsewhere(study, split):
        source = study.sources[split]
        return IndexSettings(
            source.folder,
            is_training=True,
            skip=source.skip,
            is_elsewhere=True,
            has_prompts=source.prompts,
        )
    is_training = split in study.data.training
    row = (study.data.training | study.data.evaluation)[held_out_of(study, split) or split]
    is_captioned = row.captions is not None
    return IndexSettings(
        row.dataset,
        is_training,
        is_pairs(study, split),
        getattr(row, "skip", None),
        held_out=_held_out(study, split, row.dataset, is_training),
        part=row.part if is_training else None,
        measured=StoredImages(study.image_size, study.channels) if is_captioned else None,
    )


def _held_out(study: Study, split: str, dataset: str, is_training: bool) -> HeldOutImages | None:
    """Return which images of a data set are held out; None if the split does not depend on it."""
    for name, row in study.data.evaluation.items():
        if row.kind != "held_out":
            continue
        if place_of(study.data.training[row.of].dataset) != place_of(dataset):
            continue
        if is_training or name == split:
            return HeldOutImages(row.fraction, row.seed)
    return None


def _range(study: Study, split: str, shard: str | int) -> tuple[int, int]:
    """Return the half-open range of images of a training split that a shard holds."""
    size = images_per_shard_of_split(study, split)
    start = int(shard) * size
    return start, min(images_needed(study, split), start + size)


def data_settings(study: Study, split: str, shard: str | int) -> DataSettings:
    """Return the settings of one shard of real images.

    Parameters
    ----------
    study : Study
    split : str
        Training or evaluation set of the study's data.
    shard : str or int
        Number of the shard.
    """
    if shift := shift_of(study, split):
        training = None
        if isinstance(shift, MisreadImages):
            first = (0, images_of_shift(study, split))
            training = replace(data_settings(study, shift.trained_on, 0), range=first)
        return replace(data_settings(study, shift.of, shard), shift=shift, training=training)
    if is_in_files(study, split):
        index = index_settings(study, split)
        shape = (study.image_size, study.channels)
        if not index.is_training:
            # Images to evaluate on lose nothing more, whatever the study's storage is.
            return DataSettings(index, stored=StoredImages(*shape))
        stored = StoredImages(*shape, study.storage.format, study.storage.quality)
        return DataSettings(index, _range(study, split, shard), stored=stored)
    assert study.data.kind == "sklearn_digits"
    if split in study.data.evaluation:
        images = study.data.evaluation[split]
        is_adversarial = images.kind == "adversarial"
        forms = tuple(study.data.generator_training) if is_adversarial else None
        return DataSettings(images, trained_on=forms)
    images = WriterSet(kind="writers", forms=getattr(study.data, split))
    if split != "classifier_training":
        return DataSettings(images)
    return DataSettings(images, _range(study, split, shard), images_needed(study, split))


def training_data(study: Study) -> tuple[IndexSettings | EvaluationSet, ...]:
    """Return what prompts are taken from and generators are trained on."""
    if study.data.kind == "files":
        return tuple(index_settings(study, split) for split in study.data.training)
    splits = ("classifier_training", "generator_training")
    return tuple(data_settings(study, split, 0).images for split in splits)
