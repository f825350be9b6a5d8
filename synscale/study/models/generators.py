"""Where images come from: text-to-image models trained by the workflow or released by others, and
how images are stored.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from synscale.study.models.parts import (
    ROUNDING_ONLY,
    SAMPLING_ONLY,
    Backend,
    Part,
    Positive,
    Share,
)


class GeneratorTraining(Part):
    iterations: Positive
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    ema_decay: Share = Field(
        description="of the exponential moving average of the weights, which is what is kept"
    )
    caption_dropout: Share = Field(
        description="share of captions replaced by the empty one, so that guidance has its second half"
    )
    seed: int = 0


class DiffusionGenerator(Part):
    """A Stable Diffusion pipeline in pixel space, trained by the workflow."""

    kind: Literal["diffusion"]
    channels: list[Positive] = Field(min_length=1, description="of the UNet, a level each")
    text_width: Positive
    text_layers: Positive
    training: GeneratorTraining
    sampler: Literal["ddim", "dpmsolver++"] = Field(json_schema_extra=SAMPLING_ONLY)
    steps: Positive = Field(json_schema_extra=SAMPLING_ONLY)


class MaskedTokenGenerator(Part):
    """An aMUSEd pipeline (the open Muse) whose tokens are grey levels, trained by the workflow."""

    kind: Literal["masked_token"]
    width: Positive
    layers: Positive
    heads: Positive
    text_width: Positive
    text_layers: Positive
    training: GeneratorTraining
    steps: Positive = Field(json_schema_extra=SAMPLING_ONLY)
    temperature: tuple[float, float] = Field(
        description="of the choice of which tokens stay masked, first and last step",
        json_schema_extra=SAMPLING_ONLY,
    )


class Released(Part):
    """Weights that others released, as diffusers saves pipelines."""

    model: str = Field(
        min_length=1,
        description="id on the hub, owner/name, or a folder, whose path starts with / or .",
    )
    revision: str | None = Field(
        default=None, description="of a model of the hub: the commit, 40 hex digits"
    )
    variant: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]+$", description="of the weight files, such as fp16"
    )

    @property
    def is_folder(self) -> bool:
        return self.model.startswith(("/", "."))


class Upscaler(Released):
    """The second stage of DeepFloyd IF, a pipeline that makes its images larger. It has the text
    embeddings and the precision of the first.
    """

    size: Positive = Field(description="pixels a side that come out")
    steps: Positive
    guidance: float = Field(
        ge=0,
        description="guidance scale of this stage, the same for all images: what a source varies is that of the first",
    )
    noise_level: Annotated[int, Field(ge=0, lt=1000)] = Field(
        default=250, description="of the noise on what it is given, in steps of its training"
    )


class PretrainedGenerator(Released):
    """A text-to-image pipeline with released weights, any that diffusers knows.

    Guidance scales of its sources are the pipeline's own `guidance_scale`: 1 is none in Stable
    Diffusion, and FLUX reads it as an input of the model. How the paper's grid for Muse (0.1 to
    1.0) maps to aMUSEd's is not known: it would be 1 more if it were the t of Muse's (1 + t) *
    conditional - t * unconditional. Of two stages, the paper's scale for Imagen is read as that of
    the first (ours).
    """

    kind: Literal["pretrained"]
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    size: Positive = Field(
        description="pixels a side that are generated; what is stored has the image_size of the study"
    )
    sampler: Literal["ddim", "dpmsolver++"] | None = Field(
        default=None,
        description="sampler in place of the model's scheduler, whose settings it keeps; the model's scheduler if omitted",
    )
    steps: Positive
    negative_prompt: str = Field(
        default="",
        description="text to guide away from; refused if it has no effect at any scale of a source",
    )
    batch_size: Positive = Field(
        default=8,
        description="images sampled at a time: what fits the GPU; changes images by rounding only",
        json_schema_extra=ROUNDING_ONLY,
    )
    upscaler: Upscaler | None = Field(default=None, description="of DeepFloyd IF: its second stage")
    compile: Backend | None = Field(
        default=None,
        exclude_if=lambda backend: (
            backend is None
        ),  # images of before are not made again for what they do not ask for
        description="inductor: UNet or transformer and decoder are compiled, channels last, their projections fused: the same images up to rounding, after "
        "minutes at the start of each job",
    )
    reuse_attention: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        exclude_if=lambda every: every is None,
        description="of Stable Diffusion and SDXL: in the middle of sampling, attention is computed in every so many-th step alone. Other images, in less time",
    )

    @model_validator(mode="after")
    def one_way_of_speed(self):
        if self.compile and self.reuse_attention:
            raise ValueError(
                "compile and reuse_attention: what is kept from step to step cannot be compiled: remove one of them"
            )
        return self


class SafetyChecker(Released):
    """A pipeline of the Stable Diffusion family, of which the safety checker alone is fetched. It
    flags images when it is asked to, and changes none.
    """

    batch_size: Positive = Field(
        default=64, description="images at a time", json_schema_extra=ROUNDING_ONLY
    )


class Storage(Part):
    """How generated images are stored: png loses nothing, jpeg and webp take a tenth of the room."""

    format: Literal["png", "jpeg", "webp"] = "png"
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="of jpeg and webp"
    )


Generator = Annotated[
    DiffusionGenerator | MaskedTokenGenerator | PretrainedGenerator, Field(discriminator="kind")
]
