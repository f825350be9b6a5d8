"""Classes with different numbers of images in a training set, as a text for captions."""

from pathlib import Path

import numpy as np

from synscale.report.caption_sizes import Sizes
from synscale.report.names import display_name, escape_rst, join_words
from synscale.study import class_table
from synscale.study.models import Study, resolve_mixture
from synscale.workflow.paths import data_index
from synscale.workflow.shards import is_prepared, split_of


def class_imbalance(study: Study, sizes: Sizes) -> str:
    """Return the smallest and the largest class of each unbalanced source at its largest size.

    Such as `real: 4 to 12 images of a class at 96 images`. It is empty if no two classes differ by
    more than one image, as they do at a size that is no multiple of the number of classes.

    Parameters
    ----------
    study : Study
    sizes : dict
        Sizes of each curve.
    """
    images: dict[str, int] = {}
    for (_, source, guidance, _), curve_sizes in sizes.items():
        for part in resolve_mixture(study.sources, source, guidance, max(curve_sizes)):
            images[part.source] = max(part.images, images.get(part.source, 0))
    texts = []
    for source, count in images.items():
        counts = _class_counts(study, source, count)
        if len(counts) and counts.max() - counts.min() > 1:
            name = escape_rst(display_name(source))
            of_class = f"{counts.min():,} to {counts.max():,} images of a class"
            texts.append(f"{name}: {of_class} at {count:,} images")
    return join_words(texts)


def _class_counts(study: Study, source: str, images: int) -> np.ndarray:
    """Return how many of the first images of a source each class has; empty if not known."""
    row = study.sources[source]
    index = data_index(study, split_of(study, source)) if is_prepared(row) else []
    if row.kind == "pairs" or not index or not Path(index[0]).is_file():
        return np.zeros(0, int)
    from pyarrow import parquet  # not while Snakemake plans

    class_ids = parquet.read_table(index[0], columns=["class_id"])["class_id"].to_numpy()
    return np.bincount(class_ids[:images], minlength=class_table.count(study.classes))
