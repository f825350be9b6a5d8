"""Trained models that the paper's authors released, put in place of our own and judged by our
evaluators.
"""

from typing import Literal

from pydantic import Field

from synscale.study.models.base import Name, Positive, StrictModel


class Measured(StrictModel):
    """What of ours is of the same kind as a published number."""

    evaluation: Name
    measure: Literal["top1", "cross_entropy"]


class AuthorCheckpoint(StrictModel):
    """A checkpoint in the layout of the authors' evaluation code: a state dict of timm's ViT, or of
    open_clip's CLIP.
    """

    kind: Literal["classifier", "clip"]
    file: str = Field(
        min_length=1, description="checkpoint; a path that starts where snakemake does"
    )
    images: Positive = Field(description="that it is trained on, as its publishers say")
    numbers: dict[str, Measured] = Field(
        default={}, description="id in data/paper_numbers.csv -> what of ours is of the same kind"
    )
