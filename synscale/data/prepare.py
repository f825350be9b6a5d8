"""Samples of the shards of real images, of digits or of a data set in files."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import numpy as np
import pandas as pd

from synscale.data import datasets, digits, digits_shifts, shards, shifts
from synscale.data.codec import decode
from synscale.data.datasets import registry, stored_format
from synscale.prompts import recipes
from synscale.study.models.data import MisreadImages
from synscale.workflow.settings.data import DataSettings

AT_ONCE = 64  # images that a thread may be ahead of the writer


class TooFewImages(ValueError):
    """A split that has fewer images than a source or a model takes."""


def load_digits(settings: DataSettings) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Return the images of a split of scikit-learn's digits.

    Returns
    -------
    images : ndarray, shape (N, 8, 8)
        Grey levels 0 to 16.
    labels : ndarray, shape (N,)
    captions, origins : list of str
    """
    if settings.kind == "fonts":
        images, labels, origins = digits_shifts.printed(settings.images.angles)
        return images, labels, digits.captions(images, labels), origins
    images, labels = digits.load()
    form = digits.forms(labels)
    captions = digits.captions(images, labels)
    rows = np.flatnonzero(np.isin(form, settings.images.forms))
    if settings.kind == "adversarial":
        other = np.isin(form, settings.trained_on)
        model = shifts.NearestMean.of(zip(labels[other], images[other], strict=True))
        rows = rows[model.misread(images[rows], labels[rows])]
    selected = images[rows]
    if settings.kind == "outlines":
        selected = digits_shifts.outlines(selected)
    origins = [f"form {form[i]}, image {i}" for i in rows]
    return selected, labels[rows], [captions[i] for i in rows], origins


def balanced_digits(labels: np.ndarray, forms: list[int], min_images: int) -> np.ndarray:
    """Return indices that go round the classes as long as every class has an image left.

    Any prefix is balanced. Images are shuffled within a class: in their order the first would all
    be by one writer.

    Parameters
    ----------
    labels : ndarray, shape (N,)
    forms : list of int
        Forms of the images, for the message.
    min_images : int

    Raises
    ------
    TooFewImages
        If there are fewer than `min_images`.
    """
    counts = np.unique(labels, return_counts=True)[1]
    order = datasets.balanced_order(labels)[: len(counts) * counts.min()]
    if len(order) < min_images:
        detail = f"{len(order)} balanced ones, a source takes {min_images}"
        problem = f"data.classifier_training = {forms}: too few images ({detail})"
        raise TooFewImages(f"{problem}; name more forms or lower images")
    return order


def digits_samples(
    settings: DataSettings, classes: pd.DataFrame
) -> Iterator[tuple[str, np.ndarray, dict]]:
    """Yield key, pixels and manifest row of each image of a shard of digits.

    Parameters
    ----------
    settings : DataSettings
    classes : DataFrame
        The class table.
    """
    images, labels, captions, origins = load_digits(settings)
    order = np.arange(len(labels))
    if settings.balanced is not None:
        order = balanced_digits(labels, settings.images.forms, settings.balanced)
    pixels = np.rint(images * 255 / 16).astype(np.uint8)  # grey levels 0..16 over 8 bits
    start, stop = settings.range or (0, len(order))
    seen: Counter[int] = Counter()
    for place, i in enumerate(order):
        row, class_id = classes.iloc[labels[i]], int(labels[i])
        text = recipes.alt_text(row, captions[i], seen[class_id])
        seen[class_id] += 1
        if start <= place < stop:
            manifest = {"image": place, "class_id": class_id, "class_name": row["name"]}
            manifest |= {"prompt": text, "caption": captions[i], "origin": origins[i]}
            yield f"{place:09d}", pixels[i], manifest


def shifted_samples(
    tar: str, training: list[str], settings: DataSettings, threads: int
) -> Iterator[tuple[str, bytes, dict]]:
    """Yield key, encoded image and manifest row of each image of a shifted set, in order.

    Parameters
    ----------
    tar : str
        Shard of the set that the images are taken from.
    training : list of str
        Shards whose first images the model behind misread images is trained on.
    settings : DataSettings
    threads : int
        Threads that change images.

    Raises
    ------
    TooFewImages
        If the model knows too few classes, or classifies all images correctly.
    """
    shift = settings.shift
    assert shift is not None
    samples = shards.samples(tar)
    if settings.training:
        yield from _misread_samples(samples, training, settings)
        return

    def convert(sample: tuple[str, bytes, dict]) -> bytes:
        return shards.encode(shifts.changed(decode(sample[1]), shift))

    with ThreadPoolExecutor(threads) as pool:
        while window := list(islice(samples, AT_ONCE * threads)):
            for (key, _, row), image in zip(window, pool.map(convert, window), strict=True):
                yield key, image, row


def _misread_samples(
    samples: Iterator[tuple[str, bytes, dict]], training: list[str], settings: DataSettings
) -> Iterator[tuple[str, bytes, dict]]:
    """Yield the samples that a model of training images classifies wrongly, counted from 0."""
    shift, trained_on = settings.shift, settings.training
    assert isinstance(shift, MisreadImages) and trained_on and trained_on.range
    count = trained_on.range[1]
    learned = islice(chain.from_iterable(map(shards.samples, training)), count)
    model = shifts.NearestMean.of((row["class_id"], decode(data)) for _, data, row in learned)
    place = 0
    while window := list(islice(samples, AT_ONCE)):
        labels = np.array([row["class_id"] for _, _, row in window])
        if unknown := sorted(set(labels.tolist()) - set(model.classes.tolist())):
            problem = f"no image of the classes {unknown} of {shift.of} among the first {count}"
            fix = f"raise `images` of the set of kind {shift.kind!r}"
            raise TooFewImages(f"data.training.{shift.trained_on}: {problem}; {fix}")
        images = np.stack([decode(data) for _, data, _ in window])
        for i in model.misread(images, labels):
            _, data, row = window[i]
            yield f"{place:09d}", data, row | {"image": place}
            place += 1
    if not place:
        problem = f"a model of {shift.trained_on} classifies every image correctly"
        fix = f"remove the set of kind {shift.kind!r}"
        raise TooFewImages(f"data.evaluation.{shift.of}: {problem}; {fix}")


def file_samples(
    data: datasets.DataSet, index: str, settings: DataSettings, threads: int
) -> Iterator[tuple[str, bytes, dict]]:
    """Yield key, encoded image and manifest row of each image of a shard, in order.

    An image of pairs has its text as prompt and no class (-1). One of classes has a text only if it
    was generated elsewhere from a prompt, or if the study asks for captions.

    Parameters
    ----------
    data : DataSet
    index : str
        Parquet that `index_data` wrote.
    settings : DataSettings
    threads : int
        Threads that decode and store.

    Raises
    ------
    DataSetError
        At the end, if images cannot be read. The message names all of them.
    """
    stored = settings.stored
    assert stored is not None  # as of every data set in files
    start, stop = settings.range or (0, None)
    rows, read = datasets.read_index(data, index, start, stop)
    broken = []

    def convert(row: dict) -> bytes | Exception:
        try:
            return stored_format.store(read(row), stored, evaluation=not data.training)
        except Exception as error:  # Pillow's readers raise errors of many classes
            return error

    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(rows), AT_ONCE * threads):
            window = rows[first : first + AT_ONCE * threads]
            for row, image in zip(window, pool.map(convert, window), strict=True):
                if isinstance(image, Exception):
                    broken.append(f"{row['origin']}: {_described(image)}")
                else:
                    yield f"{row['image']:09d}", image, _manifest_row(data, row)
    if broken:
        key = f"{data.key}.skip"
        skip = f", or list their names (before the colon) in the file of {key}"
        fix = f"get them again{skip if data.training else ''}"
        problem = f"{data.place}: {len(broken)} images cannot be read; {fix}"
        raise datasets.DataSetError("\n".join([f"{problem}:", *broken]))


def _described(error: Exception) -> str:
    kind = "" if isinstance(error, stored_format.BROKEN) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"


def _manifest_row(data: datasets.DataSet, row: dict) -> dict:
    text, class_id = row.get("text", ""), row.get("class_id", registry.NO_CLASS)
    name = "" if data.pairs else data.classes[class_id]["name"]
    caption = row.get("caption", text)
    image = {"image": row["image"], "class_id": class_id, "class_name": name}
    return image | {"prompt": text, "caption": caption, "origin": row["origin"]}
