"""Selected images: the best images of another source, by a score."""

import math
from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import DISPLAY_ONLY, Name, Positive, StrictModel


class ClipRun(StrictModel):
    """CLIP model that an experiment of the study trains."""

    source: Name = Field(description="name of a source")
    architecture: Name = Field(description="name of an architecture of CLIP")
    size: Positive = Field(description="number of image-text pairs")
    seed: int = Field(description="seed of the run")


class SelectedSource(StrictModel):
    """The best images of a synthetic source, or of a source of kind images, by a score.

    A window is a number of consecutive images of the source. Each window keeps the same number of
    images, whatever comes after it: a larger source changes no prefix.
    """

    kind: Literal["selected"]
    source: Name = Field(description="source that the images are selected from")
    guidance: float | None = Field(default=None, description="guidance scale of a synthetic source")
    by: Literal["recognizability", "diversity", "clip_score"] = Field(
        description="score: `recognizability`, probability of the class under the reference of "
        "the scores; `diversity`, distance to the images that are already selected, in the features"
        " of the reference; `clip_score`, cosine of image and prompt in the model `clip`"
    )
    keep: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="fraction of the images of each window that is selected"
    )
    window: Positive | None = Field(
        default=None,
        description="consecutive images of the source that are compared; by default those of one "
        "of its shards",
    )
    images: Positive = Field(description="number of selected images to use")
    clip: ClipRun | None = Field(
        default=None, description="CLIP run of the study; for clip_score only"
    )
    label: str = Field(
        default="",
        description="name in figures; by default the name of the source",
        json_schema_extra=DISPLAY_ONLY,
    )

    def per_window(self, shard: int) -> int:
        """Return how many images each window keeps, given the images of a shard of the source."""
        return round(self.keep * (self.window or shard))

    def selected_from(self, images: int, shard: int) -> int:
        """Return how many images are selected from the first images of the source.

        Parameters
        ----------
        images : int
            Images of the source. Those after the last complete window do not count.
        shard : int
            Images of a shard of the source.
        """
        return images // (self.window or shard) * self.per_window(shard)

    def generated_for(self, images: int, shard: int) -> int:
        """Return how many images of the source the first selected images are selected from.

        Parameters
        ----------
        images : int
            Selected images.
        shard : int
            Images of a shard of the source.
        """
        return math.ceil(images / self.per_window(shard)) * (self.window or shard)
