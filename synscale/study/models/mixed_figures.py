"""Figures of mixtures of real and synthetic images, and of selected images."""

from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import AboveZero, Name, StrictModel
from synscale.study.models.sources import CurveSelection, Names


class Prices(StrictModel):
    """Prices of images, in the currency of the hardware file; the default is our choice."""

    real: AboveZero = Field(default=0.05, description="price of a real image with its label")
    synthetic: Literal["auto"] | Annotated[float, Field(ge=0)] = Field(
        default="auto",
        description="price of a synthetic image; `auto`: what its generation costs in the plan",
    )


class JointLawFigure(StrictModel):
    """Loss against the numbers of real and of synthetic images."""

    experiments: Names = Field(description="experiments on the mixtures and both kinds alone")
    architecture: Name = Field(description="name of an architecture")
    evaluation: Name = Field(description="name of an evaluation set")
    mixtures: Names = Field(
        description="sources of kind mixture, all of the same two sources: real and synthetic"
    )
    prices: Prices = Field(default=Prices(), description="prices of real and of synthetic images")


class SelectionFigure(StrictModel):
    """Selected images against all images of the source that they are selected from."""

    law: Name = Field(description="name of a law")
    architecture: Name = Field(description="name of an architecture")
    curves: list[CurveSelection] = Field(
        min_length=1,
        description="curves of sources of kind selected, each compared with the law's curve of all "
        "images",
    )


class RepetitionFigure(StrictModel):
    """Loss against unique images and epochs."""

    experiments: Names = Field(description="names of experiments")
    architectures: Names = Field(
        description="architectures that differ in `iterations_factor` only"
    )
    evaluation: Name = Field(description="name of an evaluation set")
    source: Name = Field(description="name of a source")
    guidance: float | None = Field(default=None, description="guidance scale of a synthetic source")
