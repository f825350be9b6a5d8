"""Training recipe and architectures of classifiers."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from synscale.study.models.base import (
    DISPLAY_ONLY,
    ROUNDING_ONLY,
    AboveZero,
    Backend,
    Name,
    Positive,
    Share,
    StrictModel,
    is_none,
)
from synscale.study.models.sources import RunsPerJob
from synscale.study.models.starts import SHAPE, PretrainedStart, RunStart, Start, with_shapes

Probability = Annotated[float, Field(ge=0, le=1)]
Area = Annotated[float, Field(gt=0, le=1)]


def _shape_or_start(schema: dict[str, Any]) -> None:
    """Require the shape of an architecture in its JSON schema, unless it has a start."""
    schema["required"] = [key for key in schema["required"] if key not in SHAPE]
    schema["if"] = {"not": {"required": ["start"]}}
    schema["then"] = {"required": list(SHAPE)}


class Architecture(StrictModel):
    """Vision transformer of timm. One that starts from a run of the study has the run's shape.

    The head always starts from random weights, which follow from the seed of the training.
    """

    model_config = ConfigDict(json_schema_extra=_shape_or_start)

    patch_size: Positive = Field(description="side of a patch in pixels")
    width: Positive = Field(description="width of the tokens")
    depth: Positive = Field(description="number of layers")
    heads: Positive = Field(description="number of attention heads")
    pool: Literal["token", "avg"] = Field(
        description="input of the head: class token or mean of the patches"
    )
    drop_path: Share = Field(
        default=0.0,
        exclude_if=lambda share: not share,
        description="stochastic depth: rate of the last layer, which falls linearly to 0 at the "
        "first; DeiT: 0.1. The paper's is not known",
    )
    learning_rate: AboveZero | None = Field(
        default=None, exclude_if=is_none, description="learning rate in place of the recipe's"
    )
    gradient_clip: AboveZero | None = Field(
        default=None,
        exclude_if=is_none,
        description="largest norm of the gradient in place of the recipe's",
    )
    iterations_factor: AboveZero | None = Field(
        default=None,
        exclude_if=is_none,
        description="factor of the recipe's iterations: experiments on equal architectures with "
        "different factors separate the effect of epochs from that of images",
    )
    start: Start | None = Field(
        default=None,
        exclude_if=is_none,
        description="weights to start from, other than the head's: a run of the study, or "
        "released ones; random by default",
    )
    train: Literal["all", "head"] = Field(
        default="all",
        exclude_if=lambda part: part == "all",
        description="weights that are trained: all, or those of the head only, a linear probe",
    )
    label: str = Field(description="name in figures", json_schema_extra=DISPLAY_ONLY)

    @property
    def start_run(self) -> RunStart | None:
        """Run of the study that the weights are of; None if there is none."""
        return self.start if isinstance(self.start, RunStart) else None

    @property
    def pretrained(self) -> PretrainedStart | None:
        """Released weights to start from; None if there are none."""
        return self.start if isinstance(self.start, PretrainedStart) else None


class RandAugment(StrictModel):
    """RandAugment of torchvision: random operations on each image."""

    operations: Positive = Field(description="number of operations on each image")
    magnitude: int = Field(ge=0, le=30, description="strength of the operations")


class Training(StrictModel):
    """Training recipe: AdamW with linear warm-up and cosine decay to zero.

    The paper's recipe is not published. Descriptions name DeiT (Touvron et al. 2021) as the usual
    choice for a ViT on ImageNet only. Optional steps without a value are not applied.
    """

    batch_size: Positive = Field(
        description="images of an iteration on all GPUs; DeiT: 1024. The paper's is not known"
    )
    learning_rate: AboveZero = Field(description="peak learning rate of AdamW")
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.95),
        description="betas of AdamW; our choice. DeiT: 0.9, 0.999. The paper's are not known",
    )
    warmup: Share = Field(description="share of the iterations in which the learning rate rises")
    weight_decay: float = Field(ge=0, description="weight decay of AdamW")
    label_smoothing: Share = Field(description="share of the target that all classes share equally")
    position_std: AboveZero = Field(
        description="standard deviation of the initial position embedding; timm's default is 0.02"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="precision of matrix products; weights stay float32. The paper's is not known",
    )
    image_size: Positive | None = Field(
        default=None,
        description="side of the model's input in pixels; the study's by default. DeiT: 224",
    )
    crop_scale: tuple[Area, Area] | None = Field(
        default=None,
        description="share of the area that a random resized crop keeps; DeiT: 0.08 to 1. "
        "The paper's is not known",
    )
    flip: bool = Field(
        default=False,
        description="horizontal flip of half of the images, as in DeiT. The paper's is not known",
    )
    rand_augment: RandAugment | None = Field(
        default=None,
        description="RandAugment; DeiT: 2 operations, magnitude 9. The paper's is not known",
    )
    erasing: Probability | None = Field(
        default=None,
        description="share of images with a rectangle of noise; DeiT: 0.25. "
        "The paper's is not known",
    )
    mixup: AboveZero | None = Field(
        default=None,
        description="alpha of mixup; DeiT: 0.8. With cutmix, one of the two is drawn for each "
        "batch. The paper's is not known",
    )
    cutmix: AboveZero | None = Field(
        default=None, description="alpha of CutMix; DeiT: 1.0. The paper's is not known"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="decay of the moving average of the weights, which is then the model; "
        "DeiT: 0.99996. The paper's is not known",
    )
    gradient_clip: AboveZero | None = Field(
        default=None,
        description="largest norm of the gradient; DeiT: none. The paper's is not known",
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="images in a micro-batch of a GPU; changes a model by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    compile: Backend | None = Field(
        default=None,
        description="backend of torch.compile; inductor: channels last, faster, the same up to "
        "rounding",
    )


class Classifiers(Training):
    """Training recipe and architectures of all classifiers."""

    architectures: dict[Name, Architecture] = Field(description="architectures by name")
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    runs_per_job: RunsPerJob

    @field_validator("architectures", mode="before")
    @classmethod
    def _with_shapes(cls, rows: Any) -> Any:
        """Add the shapes of architectures that start from a run."""
        return with_shapes(rows)
