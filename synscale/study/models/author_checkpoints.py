"""Checkpoints of the paper's authors, which this project's evaluation is checked with."""

from typing import Literal

from pydantic import Field

from synscale.study.models.base import Name, Positive, StrictModel


class PublishedNumber(StrictModel):
    """The metric that a published number is compared with."""

    evaluation: Name = Field(description="name of an evaluation set")
    measure: Literal["top1", "cross_entropy"] = Field(description="metric on that set")


class AuthorCheckpoint(StrictModel):
    """A state dict in the layout of the authors' code: timm's ViT or open_clip's CLIP."""

    kind: Literal["classifier", "clip"] = Field(description="kind of the model")
    file: str = Field(min_length=1, description="path of the checkpoint, from the project's folder")
    images: Positive = Field(description="number of training images, as published")
    numbers: dict[str, PublishedNumber] = Field(
        default={}, description="metric of each published number, by its id in paper_numbers.csv"
    )
