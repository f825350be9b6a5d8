"""Excerpts of shards: the images that figures show, for bundles of published results."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from synscale.data import shards
from synscale.study.models import Study
from synscale.workflow.settings import figures


def is_shown(study: Study, tar: str, rows: pd.DataFrame) -> pd.Series:
    """Return which images of a shard the figures of a study show.

    Parameters
    ----------
    study : Study
    tar : str
        Path of the shard.
    rows : DataFrame
        Its manifest.

    Returns
    -------
    Series of bool
        The first images of each class, at each guidance scale.
    """
    keys = [name for name in ("guidance", "class_id") if name in rows]
    rank = rows.groupby(keys, dropna=False).cumcount()
    mask = pd.Series(False, index=rows.index)
    if study.figures.samples:
        if tar in figures.samples_tars(study):
            mask |= rank < 1
        if tar in figures.samples_of_real(study):
            mask |= rank < len(figures.samples_settings(study).guidance)
    if study.figures.per_class and tar in figures.per_class_tars(study):
        settings = figures.per_class_settings(study)
        examples = rank < settings.examples
        if settings.curves[0].guidance is not None:
            examples &= rows["guidance"] == settings.curves[0].guidance
        mask |= examples
    return mask


def write(study: Study, tar: str, path: Path) -> Path:
    """Write the images of a shard that figures show as a smaller shard, and return its path.

    Parameters
    ----------
    study : Study
    tar : str
        Path of the shard.
    path : Path
        Tar to write; its manifest is next to it.
    """
    mask = is_shown(study, tar, pd.read_parquet(shards.manifest_path(tar)))

    def selected() -> Iterator[tuple[str, bytes, dict]]:
        for sample, shown in zip(shards.samples(tar), mask, strict=True):
            if shown:
                yield sample

    shards.write(path, selected(), study.storage)
    return path
