"""Text-to-image models, trained by the workflow or pretrained, and the storage of images."""

from collections.abc import Mapping
from operator import not_
from typing import Annotated, Literal

from pydantic import Field, model_validator

from synscale.study.models.base import (
    ROUNDING_ONLY,
    SAMPLING_ONLY,
    AboveZero,
    Backend,
    HubModel,
    Name,
    Positive,
    Share,
    StrictModel,
    is_none,
)

LORA_FILE = "pytorch_lora_weights.safetensors"  # the name that diffusers writes
Sampler = Literal["ddim", "dpmsolver++"]


class GeneratorTraining(StrictModel):
    """Training recipe of a generator."""

    iterations: Positive = Field(description="number of training iterations")
    batch_size: Positive = Field(description="images of an iteration")
    learning_rate: AboveZero = Field(description="peak learning rate")
    ema_decay: Share = Field(
        description="decay of the exponential moving average of the weights, which is the result"
    )
    caption_dropout: Share = Field(
        description="share of captions replaced by the empty one, for classifier-free guidance"
    )
    seed: int = Field(default=0, description="seed of the training")


class TrainedGenerator(StrictModel):
    """Keys of generators that the workflow trains: on which images."""

    data: Name | None = Field(
        default=None,
        exclude_if=is_none,
        description="training set of the data; the digits have only generator_training",
    )
    images: Positive | None = Field(
        default=None,
        exclude_if=is_none,
        description="number of images of a data set in files; by default the length of its part",
    )


class DiffusionGenerator(TrainedGenerator):
    """Stable Diffusion pipeline in pixel space, trained by the workflow."""

    kind: Literal["diffusion"]
    channels: list[Positive] = Field(min_length=1, description="channels of each level of the UNet")
    text_width: Positive = Field(description="width of the text encoder")
    text_layers: Positive = Field(description="number of layers of the text encoder")
    training: GeneratorTraining = Field(description="training recipe")
    sampler: Sampler = Field(json_schema_extra=SAMPLING_ONLY, description="sampler")
    steps: Positive = Field(json_schema_extra=SAMPLING_ONLY, description="number of sampling steps")
    threshold: bool = Field(
        default=False,
        exclude_if=not_,
        description="clip predicted pixels to the range of images at every step of sampling",
        json_schema_extra=SAMPLING_ONLY,
    )


class MaskedTokenGenerator(TrainedGenerator):
    """aMUSEd pipeline (the open Muse) with grey levels as tokens, trained by the workflow."""

    kind: Literal["masked_token"]
    levels: Annotated[int, Field(ge=2, le=256)] | None = Field(
        default=None, exclude_if=is_none, description="number of grey levels; 17 for the digits"
    )
    width: Positive = Field(description="width of the transformer")
    layers: Positive = Field(description="number of layers of the transformer")
    heads: Positive = Field(description="number of attention heads")
    text_width: Positive = Field(description="width of the text encoder")
    text_layers: Positive = Field(description="number of layers of the text encoder")
    training: GeneratorTraining = Field(description="training recipe")
    steps: Positive = Field(json_schema_extra=SAMPLING_ONLY, description="number of sampling steps")
    temperature: tuple[float, float] = Field(
        description="temperature of the choice of masked tokens, first and last step",
        json_schema_extra=SAMPLING_ONLY,
    )


class PipelineWeights(HubModel):
    """Pretrained weights in the format of diffusers pipelines."""

    variant: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+$",
        description="variant of the weight files, such as fp16",
    )


class Upscaler(PipelineWeights):
    """Second stage of DeepFloyd IF, with the text embeddings and precision of the first."""

    size: Positive = Field(description="side of the output in pixels")
    steps: Positive = Field(description="number of sampling steps")
    guidance: float = Field(
        ge=0,
        description="guidance scale of this stage, the same for all images; a source varies the "
        "scale of the first stage",
    )
    noise_level: Annotated[int, Field(ge=0, lt=1000)] = Field(
        default=250, description="noise on the input, in steps of the training schedule"
    )


class LoraWeights(HubModel):
    """Published LoRA weights for a pretrained generator, in a format that diffusers reads."""

    file: str = Field(
        default=LORA_FILE,
        pattern=r"^[\w.-]+\.safetensors$",
        description="name of the file of the weights",
    )
    scale: AboveZero = Field(default=1.0, description="factor on the update of the weights")


class PretrainedGenerator(PipelineWeights):
    """Any pretrained text-to-image pipeline that diffusers supports.

    Guidance scales of its sources are the pipeline's `guidance_scale`: 1 is none in Stable
    Diffusion, and FLUX has it as an input of the model. How the paper's grid for Muse (0.1 to 1.0)
    maps to aMUSEd's is not known: it would be 1 more if it were the t of Muse's (1 + t) *
    conditional - t * unconditional. With two stages, the paper's scale for Imagen is taken as that
    of the first (our choice).
    """

    kind: Literal["pretrained"]
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        default="float32", description="precision of the model; schedulers use float32"
    )
    size: Positive = Field(
        description="side of a generated image in pixels; it is stored at the study's image_size"
    )
    sampler: Sampler | None = Field(
        default=None,
        description="sampler in place of the model's scheduler, whose settings it keeps; "
        "the model's scheduler if omitted",
    )
    steps: Positive = Field(description="number of sampling steps")
    negative_prompt: str = Field(
        default="",
        description="text to guide away from; refused if it has no effect at any scale of a source",
    )
    batch_size: Positive = Field(
        default=8,
        description="images sampled at a time, as fits the GPU; changes images by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    upscaler: Upscaler | None = Field(default=None, description="second stage of DeepFloyd IF")
    lora: LoraWeights | None = Field(
        default=None,
        exclude_if=is_none,
        description="published LoRA weights that are added to the model",
    )
    compile: Backend | None = Field(
        default=None,
        exclude_if=is_none,
        description="backend of torch.compile; inductor: channels last and fused projections, "
        "faster after minutes at the start of each job, the same images up to rounding",
    )
    reuse_attention: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        exclude_if=is_none,
        description="for Stable Diffusion and SDXL: number of steps in the middle of sampling that "
        "share attention. Other images, in less time",
    )

    @model_validator(mode="after")
    def exclude_compile_with_reuse(self) -> "PretrainedGenerator":
        """Refuse `compile` with `reuse_attention`, whose state between steps cannot be compiled."""
        if self.compile and self.reuse_attention:
            raise ValueError(
                "compile and reuse_attention: cached attention cannot be compiled; "
                "remove one of them"
            )
        return self


class TuningImages(StrictModel):
    """Real images that a generator is fine-tuned on: the first ones of a source."""

    source: Name = Field(description="source of real images")
    images: Positive = Field(
        description="number of images, the first ones of the source, balanced over the classes"
    )


class LoraTraining(StrictModel):
    """Training recipe of LoRA weights. The optimizer and schedule are those of the generators."""

    rank: Positive = Field(description="rank of the update of each weight matrix")
    alpha: Positive | None = Field(
        default=None,
        description="the update has the factor alpha / rank; the same as rank if omitted",
    )
    layers: list[str] = Field(
        default=["to_q", "to_k", "to_v", "to_out.0"],
        min_length=1,
        description="names of the UNet's layers that have an update; by default those of attention",
    )
    iterations: Positive = Field(description="number of training iterations")
    batch_size: Positive = Field(description="images of an iteration")
    learning_rate: AboveZero = Field(description="peak learning rate")
    caption_dropout: Share = Field(
        default=0.1,
        description="share of captions replaced by the empty one, for classifier-free guidance",
    )
    seed: int = Field(default=0, description="seed of the training")


class FinetunedGenerator(StrictModel):
    """Another generator of the study, fine-tuned on real images of the classes by LoRA.

    It is sampled like its base. The real images are spent: figures count them.
    """

    kind: Literal["finetuned"]
    base: Name = Field(description="generator to fine-tune, of kind diffusion or pretrained")
    data: TuningImages = Field(description="real images to fine-tune on")
    lora: LoraTraining = Field(description="training recipe of the LoRA weights")


class SafetyChecker(PipelineWeights):
    """Safety checker of a pipeline of the Stable Diffusion family.

    It flags images if a job asks for it, and changes none.
    """

    batch_size: Positive = Field(
        default=64, description="images at a time", json_schema_extra=ROUNDING_ONLY
    )


class Storage(StrictModel):
    """Format of stored images: png is lossless, jpeg and webp take a tenth of the space."""

    format: Literal["png", "jpeg", "webp"] = Field(
        default="png", description="format of the images in shards"
    )
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="quality of jpeg and webp"
    )


Generator = Annotated[
    DiffusionGenerator | MaskedTokenGenerator | PretrainedGenerator | FinetunedGenerator,
    Field(discriminator="kind"),
]
SampledGenerator = DiffusionGenerator | MaskedTokenGenerator | PretrainedGenerator


def sampled_generator(generators: Mapping[str, Generator], name: str) -> SampledGenerator:
    """Return the generator whose pipeline is sampled: a fine-tuned one's base.

    Parameters
    ----------
    generators : mapping of str to Generator
        Generators of the study, by name.
    name : str
    """
    row = generators[name]
    return generators[row.base] if isinstance(row, FinetunedGenerator) else row  # type: ignore
