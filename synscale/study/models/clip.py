"""How CLIP models are trained, and what they are asked about images."""

from typing import Annotated, ClassVar, Literal

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

Fraction = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]


class ClipArchitecture(StrictModel):
    """A CLIP model of open_clip: a ViT for images, a transformer for texts."""

    embed_dim: Positive
    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    text_width: Positive
    text_depth: Positive
    text_heads: Positive
    context_length: Positive = Field(description="tokens of a text")
    merges: Positive | None = Field(
        default=None,
        description="byte pairs of CLIP's tokenizer that are used, the most frequent; all by default",
    )
    label: str = Field(description="name in figures", json_schema_extra=DISPLAY_ONLY)


class Task(StrictModel):
    """A label set of its own on the images of an evaluation set, told to CLIP by text alone."""

    evaluation: Name
    templates: list[str] = Field(min_length=1, description="each with {name} in it")
    classes: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(
        default=None, description="text -> class ids; other classes are left out"
    )
    captions: dict[str, str] | None = Field(
        default=None, description="text -> words of an image's caption; images without are left out"
    )


class ClipTraining(StrictModel):
    """A training recipe of open_clip: AdamW, linear warm-up, cosine to zero. Descriptions say what
    is known of the paper's recipe.

    GELU is QuickGELU, as the paper's evaluation code has it. `OpenCLIP` is how its models of
    LAION-400M were trained (recalled).
    """

    removed: ClassVar[dict[str, str]] = {
        "order": "every training reads its pairs in shuffled epochs now; delete this line",
        "checkpoints": "the state is saved by time now, at any step; delete this line",
    }

    batch_size: Positive = Field(
        description="pairs of an iteration, over all GPUs; 32768 in a sibling paper of the authors"
    )
    learning_rate: float = Field(gt=0, description="OpenCLIP: 5e-4. The paper's is not known")
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.98),
        description="of AdamW; those of OpenCLIP, and of LaCLIP by the same first author",
    )
    eps: float = Field(default=1e-6, gt=0, description="of AdamW; open_clip's own for a ViT")
    warmup: Share = Field(
        description="share of the iterations; OpenCLIP: 2000 iterations. The paper's is not known"
    )
    weight_decay: float = Field(ge=0, description="OpenCLIP: 0.2. The paper's is not known")
    gradient_clip: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient; OpenCLIP: none"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="of matrix products on a GPU; weights stay float32. On a CPU: float32",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="compute activations again instead of keeping them: less memory, more time",
        json_schema_extra=ROUNDING_ONLY,
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="largest micro-batch of a GPU, in pairs; changes a model by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    compile: Backend | None = Field(
        default=None,
        description="backend of torch.compile; inductor: the same up to rounding, in less time",
    )
    image_size: Positive | None = Field(
        default=None,
        description="pixels a side that the model sees; the study's by default. The paper: 224",
    )
    normalisation: Literal["half", "openai"] = Field(
        default="half",
        description="mean and deviation of pixels: 0.5 and 0.5, or those of OpenAI's CLIP as in the paper's evaluation code",
    )
    crop_scale: tuple[Fraction, Fraction] = Field(
        description="area kept by the random crop; LaCLIP: 0.5 to 1. The paper's is not known"
    )
    crop_ratio: tuple[Ratio, Ratio] = Field(
        default=(1.0, 1.0), description="width by height of the random crop; LaCLIP: 3/4 to 4/3"
    )


class Clip(ClipTraining):
    """One training recipe of CLIP models for every source of image-text pairs, and what the models
    are asked.
    """

    architectures: dict[Name, ClipArchitecture]
    iterations: dict[Positive, Positive] = Field(
        description="training iterations for each size: epochs x size / batch_size; a sibling paper: 32 epochs"
    )
    runs_per_job: RunsPerJob
    templates: Annotated[list[str], Field(min_length=1)] | Literal["openai_imagenet"] = Field(
        description="of the zero-shot evaluation on the study's classes, each with {name} in it; openai_imagenet: the 80 that open_clip brings"
    )
    tasks: dict[Name, Task] = Field(default={})
