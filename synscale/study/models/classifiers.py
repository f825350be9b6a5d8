"""How classifiers are trained."""

from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import (
    DISPLAY_ONLY,
    ROUNDING_ONLY,
    Backend,
    Name,
    Positive,
    Share,
    StrictModel,
)
from synscale.study.models.sources import RunsPerJob

Probability = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]


class Architecture(StrictModel):
    """A ViT of timm."""

    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    pool: Literal["token", "avg"] = Field(
        description="class token, or mean of the patches, before the head"
    )
    drop_path: Share = Field(
        default=0.0,
        exclude_if=lambda share: (
            not share
        ),  # an older model is not trained again for what it does not do
        description="stochastic depth: how often the last layer is skipped, those before it less; DeiT: 0.1. The paper's is not known",
    )
    learning_rate: AboveZero | None = Field(
        default=None,
        exclude_if=lambda rate: rate is None,
        description="learning rate in place of the recipe's",
    )
    gradient_clip: AboveZero | None = Field(
        default=None,
        exclude_if=lambda norm: norm is None,
        description="largest norm of the gradient in place of the recipe's",
    )
    label: str = Field(description="name in figures", json_schema_extra=DISPLAY_ONLY)


class RandAugment(StrictModel):
    """RandAugment of torchvision: random operations on each image."""

    operations: Positive = Field(description="how many are done to each image")
    magnitude: int = Field(ge=0, le=30, description="how strong they are")


class Training(StrictModel):
    """A training recipe: AdamW, linear warm-up, cosine to zero. The paper's is not published; DeiT
    (Touvron et al. 2021) is named as what is usual for a ViT on ImageNet alone. What is left out is
    not done.
    """

    batch_size: Positive = Field(
        description="images of an iteration, over all GPUs; DeiT: 1024. The paper's is not known"
    )
    learning_rate: float = Field(gt=0)
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.95),
        description="of AdamW; ours. DeiT: 0.9, 0.999. The paper's are not known",
    )
    warmup: Share = Field(description="share of the iterations")
    weight_decay: float = Field(ge=0)
    label_smoothing: Share
    position_std: float = Field(
        gt=0, description="standard deviation of the initial position embedding; timm's own is 0.02"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="of matrix products; weights stay float32. The paper's is not known",
    )
    image_size: Positive | None = Field(
        default=None,
        description="pixels a side that the ViT sees; the study's by default. DeiT: 224",
    )
    crop_scale: tuple[Area, Area] | None = Field(
        default=None,
        description="area that a random resized crop keeps; DeiT: 0.08 to 1. The paper's is not known",
    )
    flip: bool = Field(
        default=False, description="mirror every other image; DeiT does. The paper's is not known"
    )
    rand_augment: RandAugment | None = Field(
        default=None, description="DeiT: 2 operations, magnitude 9. The paper's is not known"
    )
    erasing: Probability | None = Field(
        default=None,
        description="share of images with a rectangle of noise; DeiT: 0.25. The paper's is not known",
    )
    mixup: AboveZero | None = Field(
        default=None,
        description="alpha of mixup; DeiT: 0.8. With cutmix, one of them, drawn for each batch. Paper: not known",
    )
    cutmix: AboveZero | None = Field(
        default=None, description="alpha of CutMix; DeiT: 1.0. The paper's is not known"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="of the moving average of weights, which is then the model; DeiT: 0.99996. The paper's is not known",
    )
    gradient_clip: AboveZero | None = Field(
        default=None,
        description="largest norm of the gradient; DeiT: none. The paper's is not known",
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="largest micro-batch of a GPU, in images; changes a model by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    compile: Backend | None = Field(
        default=None,
        description="inductor: the model is compiled, channels last: the same up to rounding, in less time",
    )


class Classifiers(Training):
    """One training recipe for every source."""

    architectures: dict[Name, Architecture]
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    runs_per_job: RunsPerJob
