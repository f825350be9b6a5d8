"""Training recipe of CLIP models and their zero-shot tasks."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from synscale.study.models.base import (
    DISPLAY_ONLY,
    ROUNDING_ONLY,
    AboveZero,
    Backend,
    Name,
    Positive,
    Share,
    StrictModel,
)
from synscale.study.models.classifiers import Area
from synscale.study.models.sources import RunsPerJob

Templates = Annotated[list[str], Field(min_length=1)]


class ClipArchitecture(StrictModel):
    """CLIP model of open_clip: a ViT for images, a transformer for texts."""

    embed_dim: Positive = Field(description="dimension that images and texts are embedded in")
    patch_size: Positive = Field(description="side of a patch in pixels")
    width: Positive = Field(description="width of the image tokens")
    depth: Positive = Field(description="number of layers of the ViT")
    heads: Positive = Field(description="number of attention heads of the ViT")
    text_width: Positive = Field(description="width of the text tokens")
    text_depth: Positive = Field(description="number of layers of the text transformer")
    text_heads: Positive = Field(description="number of attention heads of the text transformer")
    context_length: Positive = Field(description="tokens of a text")
    merges: Positive | None = Field(
        default=None,
        description="number of the most frequent byte pairs of CLIP's tokenizer to use; "
        "all by default",
    )
    label: str = Field(description="name in figures", json_schema_extra=DISPLAY_ONLY)


class Task(StrictModel):
    """Zero-shot task: other labels for the images of an evaluation set, given as texts."""

    evaluation: Name = Field(description="evaluation set whose images are used")
    templates: Templates = Field(description="texts with {name} in them")
    classes: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(
        default=None, description="text -> class ids; other classes are left out"
    )
    captions: dict[str, str] | None = Field(
        default=None, description="text -> words of an image's caption; images without are left out"
    )


class ClipTraining(StrictModel):
    """Training recipe of CLIP models: AdamW with linear warm-up and cosine decay.

    Descriptions report what is known of the paper's recipe. GELU is QuickGELU, as in the paper's
    evaluation code. `OpenCLIP` refers to its models of LAION-400M (recalled).
    """

    removed: ClassVar[dict[str, str]] = {
        "order": "every training reads its pairs in shuffled epochs; delete this line",
        "checkpoints": "checkpoints are saved at time intervals; delete this line",
    }

    batch_size: Positive = Field(
        description="pairs of an iteration on all GPUs; 32768 in a sibling paper of the authors"
    )
    learning_rate: AboveZero = Field(
        description="peak learning rate; OpenCLIP: 5e-4. The paper's is not known"
    )
    betas: tuple[Share, Share] = Field(
        default=(0.9, 0.98),
        description="betas of AdamW, as in OpenCLIP and in LaCLIP by the same first author",
    )
    eps: AboveZero = Field(default=1e-6, description="eps of AdamW; open_clip's default for a ViT")
    warmup: Share = Field(
        description="share of the iterations in which the learning rate rises; OpenCLIP: 2000 "
        "iterations. The paper's is not known"
    )
    weight_decay: float = Field(
        ge=0, description="weight decay; OpenCLIP: 0.2. The paper's is not known"
    )
    gradient_clip: AboveZero | None = Field(
        default=None, description="largest norm of the gradient; OpenCLIP: none"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="precision of matrix products on a GPU; weights stay float32. CPU: float32",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="recomputation of activations in the backward pass: less memory, more time",
        json_schema_extra=ROUNDING_ONLY,
    )
    micro_batch_size: Positive | None = Field(
        default=None,
        description="pairs in a micro-batch of a GPU; changes a model by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    compile: Backend | None = Field(
        default=None,
        description="backend of torch.compile; inductor: faster, the same up to rounding",
    )
    image_size: Positive | None = Field(
        default=None,
        description="side of the model's input in pixels; the study's by default. The paper: 224",
    )
    normalisation: Literal["half", "openai"] = Field(
        default="half",
        description="mean and deviation of pixels: 0.5 and 0.5, or those of OpenAI's CLIP as in "
        "the paper's evaluation code",
    )
    crop_scale: tuple[Area, Area] = Field(
        description="area kept by the random crop; LaCLIP: 0.5 to 1. The paper's is not known"
    )
    crop_ratio: tuple[AboveZero, AboveZero] = Field(
        default=(1.0, 1.0), description="width by height of the random crop; LaCLIP: 3/4 to 4/3"
    )


class Clip(ClipTraining):
    """Training recipe, architectures and zero-shot tasks of all CLIP models."""

    architectures: dict[Name, ClipArchitecture] = Field(description="architectures by name")
    iterations: dict[Positive, Positive] = Field(
        description="training iterations for each size: epochs x size / batch_size; "
        "a sibling paper: 32 epochs"
    )
    runs_per_job: RunsPerJob
    templates: Templates | Literal["openai_imagenet"] = Field(
        description="texts with {name} in them, for zero-shot evaluation on the study's classes; "
        "openai_imagenet: the 80 that open_clip brings"
    )
    tasks: dict[Name, Task] = Field(
        default={}, description="zero-shot tasks by name, in addition to the evaluation sets"
    )
