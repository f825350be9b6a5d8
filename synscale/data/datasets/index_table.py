"""Table of the images of a data set with classes, which the modules of the layouts create."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from synscale.data.datasets.registry import Survey

if TYPE_CHECKING:
    import pandas as pd

Index: TypeAlias = "tuple[pd.DataFrame, Survey]"
COLUMNS = ["class_id", "origin", "tar", "offset", "size", "text"]


def image_table(rows: Sequence[tuple]) -> "pd.DataFrame":
    """Return rows of `COLUMNS` as a table; rows without a text have one cell less."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=COLUMNS[: len(rows[0]) if rows else -1])
    return table.astype({"class_id": int})
