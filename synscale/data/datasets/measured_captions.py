"""Captions of the images of a data set of classes, composed of what is measured on their pixels."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from synscale.data import captions
from synscale.data.datasets.registry import DataSet

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

AT_ONCE = 1024  # images in memory


def _pixels(data: DataSet, read: Callable[[dict], object], row: dict) -> "np.ndarray":
    """Return the pixels of an image as it is stored. Raises DataSetError if it is unreadable."""
    import numpy as np
    from PIL import Image

    from synscale.data.datasets import stored_format

    assert data.measured
    try:
        image = stored_format.store(read(row), data.measured, evaluation=not data.training)
        return np.asarray(Image.open(io.BytesIO(image)))
    except stored_format.BROKEN as error:
        problem = f"{row['origin']} cannot be read: {error}"
        raise data.error([f"{problem}; get it again, or list it in {data.key}.skip"]) from None


def _measures(
    data: DataSet, rows: list[dict], read: Callable[[dict], object], threads: int
) -> Iterator[dict]:
    import numpy as np

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            images = list(pool.map(lambda row: _pixels(data, read, row), part))
            yield captions.measure(np.stack(images))


def add(
    data: DataSet, table: "pd.DataFrame", read: Callable[[dict], object], threads: int
) -> "pd.DataFrame":
    """Return the index with columns `caption` and `text`, the alt text of each image.

    Parameters
    ----------
    data : DataSet
    table : DataFrame
        Index of the images, in order.
    read : callable
        From a row of the index to its image.
    threads : int

    Raises
    ------
    DataSetError
        If an image cannot be read.
    """
    import numpy as np

    from synscale.prompts.recipes import alt_text  # imports pandas, which most jobs do not need

    rows = table.to_dict("records")
    parts = list(_measures(data, rows, read, threads))
    measures = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    words = captions.describe(measures, table["class_id"].to_numpy())
    places = table.groupby("class_id").cumcount()
    texts = [
        alt_text(data.classes[class_id], caption, place)
        for class_id, caption, place in zip(table["class_id"], words, places, strict=True)
    ]
    return table.assign(caption=words, text=texts)
