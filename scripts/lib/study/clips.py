"""How CLIP models are trained, and what they are asked about images."""

from typing import Annotated

from pydantic import Field

from scripts.lib.study.parts import Name, Part, Positive, RunsPerJob, Share


class ClipArchitecture(Part):
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
    merges: Positive | None = Field(default=None, description="byte pairs of CLIP's tokenizer that are used, the most frequent; all by default")
    label: str = Field(description="name in figures")


class Task(Part):
    """A label set of its own on the images of an evaluation set, told to CLIP by text alone."""

    evaluation: Name
    templates: list[str] = Field(min_length=1, description="each with {name} in it")
    classes: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(default=None, description="text -> class ids; other classes are left out")
    captions: dict[str, str] | None = Field(default=None, description="text -> words of an image's caption; images without are left out")


class Clips(Part):
    """One training recipe of CLIP models for every source of image-text pairs."""

    architectures: dict[Name, ClipArchitecture]
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    warmup: Share
    weight_decay: float = Field(ge=0)
    crop_scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = Field(description="area kept by the random crop")
    checkpoints: Positive = Field(description="equal parts of a training, after each of which its state is saved")
    runs_per_job: RunsPerJob
    templates: list[str] = Field(min_length=1, description="class-name templates of the zero-shot evaluation, each with {name} in it")
    tasks: dict[Name, Task]
