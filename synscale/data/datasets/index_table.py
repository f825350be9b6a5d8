"""Table of the images of a data set with classes, which the modules of the layouts create."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from synscale.data.datasets.registry import Survey

if TYPE_CHECKING:
    import pandas as pd

Index: TypeAlias = "tuple[pd.DataFrame, Survey]"


def image_table(rows: Sequence[tuple]) -> "pd.DataFrame":
    """Return rows of (class_id, origin, tar, offset, size) as a table."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=["class_id", "origin", "tar", "offset", "size"])
    return table.astype({"class_id": int})
