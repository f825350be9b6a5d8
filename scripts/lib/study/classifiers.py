"""How classifiers are trained."""

from typing import Literal

from pydantic import Field

from scripts.lib.study.parts import Name, Part, Positive, RunsPerJob, Share


class Architecture(Part):
    """A ViT of timm."""

    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    pool: Literal["token", "avg"] = Field(description="class token, or mean of the patches, before the head")
    label: str = Field(description="name in figures")


class Classifiers(Part):
    """One training recipe for every source."""

    architectures: dict[Name, Architecture]
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    warmup: Share
    weight_decay: float = Field(ge=0)
    label_smoothing: Share
    position_std: float = Field(gt=0, description="standard deviation of the initial position embedding; timm's own is 0.02")
    runs_per_job: RunsPerJob
