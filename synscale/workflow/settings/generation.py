"""Settings of the jobs that train or fetch generators, generate images and flag them."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, Field

from synscale.study.models import Study
from synscale.study.models.base import ROUNDING_ONLY, SAMPLING_ONLY, HubModel
from synscale.study.models.generators import (
    DiffusionGenerator,
    MaskedTokenGenerator,
    PretrainedGenerator,
    SafetyChecker,
    SampledGenerator,
    Storage,
    sampled_generator,
)
from synscale.workflow import targets
from synscale.workflow.settings import IGNORED, Settings
from synscale.workflow.shards import guidance_ranges, images_of_generator

# Version of the code that samples pretrained models. Increase it if the code generates other images
# from the same settings, so that no source mixes old and new ones. 2: `sampler` keeps the
# settings of the model's scheduler, and batches follow the lengths of prompts. 3: schedulers of
# float16 and bfloat16 models compute in float32, and aMUSEd draws its noise on the GPU.
PIPELINE_SAMPLING = 3


@dataclass(frozen=True)
class HubWeights(Settings):
    """Weights that others published, on the model hub or in a folder.

    Parameters
    ----------
    model : str
        owner/name on the hub; or a folder, whose path starts with / or a dot.
    revision : str or None
        Commit on the hub.
    use : {"generator", "upscaler", "lora", "safety_checker", "classifier", "language", "open_clip"}
        What the files are fetched for.
    variant : str or None
        Variant of the weight files, such as fp16.
    upscaler : HubWeights or None
        Second stage of a generator.
    lora : HubWeights or None
        LoRA weights of a generator.
    file : str or None
        Name of the file of LoRA weights.
    """

    model: str
    revision: str | None
    use: str
    variant: str | None = None
    upscaler: "HubWeights | None" = None
    lora: "HubWeights | None" = None
    file: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the weights are in a folder on this machine."""
        return self.model.startswith(("/", "."))


@dataclass(frozen=True)
class GeneratorTrainingSettings(Settings):
    """What a generator is trained with; its keys for sampling do not count.

    Parameters
    ----------
    generator : DiffusionGenerator or MaskedTokenGenerator
    image_size, channels : int
        Shape of the images.
    patterns : tuple of str
        Sentence patterns of every recipe of the study.
    images : int or None
        Number of images of a data set in files; None for digits, of which all are used.
    """

    ignored: ClassVar[tuple[dict, ...]] = (*IGNORED, SAMPLING_ONLY)

    generator: DiffusionGenerator | MaskedTokenGenerator
    image_size: int
    channels: int
    patterns: tuple[str, ...]
    images: int | None = None


class TrainedSampling(BaseModel, frozen=True):
    """How a generator that the workflow trains is sampled; training keys are not part of it.

    The class variables are the keys of pretrained generators that these do not have.
    """

    kind: str
    steps: int
    sampler: str | None = None
    temperature: tuple[float, float] | None = None
    threshold: bool = False
    # On a CPU, larger batches of small models do not fit in the cache.
    batch_size: int = Field(default=64, json_schema_extra=ROUNDING_ONLY)
    precision: ClassVar[str] = "float32"
    negative_prompt: ClassVar[str] = ""
    size: ClassVar[None] = None
    variant: ClassVar[None] = None
    upscaler: ClassVar[None] = None
    lora: ClassVar[None] = None
    compile: ClassVar[None] = None
    reuse_attention: ClassVar[None] = None


Sampling = PretrainedGenerator | TrainedSampling


@dataclass(frozen=True)
class GenerationSettings(Settings):
    """What the images of a shard depend on.

    Parameters
    ----------
    source, generator, recipe : str
        Names in the study.
    guidance : dict of float to tuple of int
        Half-open range of image indices of this shard at each guidance scale.
    sampling : PretrainedGenerator or TrainedSampling
    image_size, channels : int
        Shape of the stored images.
    storage : Storage
        Format of the stored images.
    version : int
        Version of the sampling code; 0 for trained generators.
    """

    source: str
    generator: str
    recipe: str
    guidance: dict[float, tuple[int, int]]
    sampling: Sampling
    image_size: int
    channels: int
    storage: Storage
    version: int = 0

    @property
    def images(self) -> int:
        """Number of images of the shard."""
        return sum(stop - start for start, stop in self.guidance.values())


@dataclass(frozen=True)
class FlagSettings(Settings):
    """Whose images are flagged, and by which safety checker."""

    source: str
    checker: SafetyChecker


def hub_weights(row: HubModel, use: str) -> HubWeights:
    """Return the weights that a row of the study names, for one use of them.

    Parameters
    ----------
    row : HubModel
        Row of the study.
    use : str
        What the model is used for.
    """
    optional = {"variant": getattr(row, "variant", None), "file": getattr(row, "file", None)}
    return HubWeights(row.model, row.revision, use, **optional)


def sentence_patterns(study: Study) -> tuple[str, ...]:
    """Return the sentence patterns of every recipe of a study."""
    recipes = [recipe for recipe in study.recipes.values() if recipe.kind == "sentences"]
    return tuple(pattern for recipe in recipes for pattern in recipe.patterns)


def generator_settings(study: Study, generator: str) -> GeneratorTrainingSettings:
    """Return what a generator is trained with. Raise NotInStudy if it is of another kind."""
    row = targets.generator(study, generator, "generators")
    patterns = sentence_patterns(study)
    images = images_of_generator(study, generator)
    return GeneratorTrainingSettings(row, study.image_size, study.channels, patterns, images)


def fetch_settings(study: Study, generator: str) -> HubWeights:
    """Return the weights of a pretrained generator. Raise NotInStudy if it is of another kind."""
    row = targets.generator(study, generator, "models")
    upscaler = row.upscaler and hub_weights(row.upscaler, "upscaler")
    lora = row.lora and hub_weights(row.lora, "lora")
    return HubWeights(row.model, row.revision, "generator", row.variant, upscaler, lora)


def _safety_checker(study: Study) -> SafetyChecker:
    if study.safety_checker is None:
        fix = "add safety_checker, with model and revision, to its file"
        raise targets.NotInStudy(f"{study.title}: the study has no safety checker; {fix}")
    return study.safety_checker


def checker_settings(study: Study) -> HubWeights:
    """Return the weights of the safety checker. Raise NotInStudy if the study has none."""
    return hub_weights(_safety_checker(study), "safety_checker")


def flag_settings(study: Study, source: str) -> FlagSettings:
    """Return the settings of a job that flags images. Raise NotInStudy as `checker_settings`."""
    return FlagSettings(source, _safety_checker(study))


def sampling_of(generator: SampledGenerator) -> Sampling:
    """Return what decides how a generator of the study is sampled."""
    if generator.kind == "pretrained":
        return generator
    keys = {"kind", "steps", "sampler", "temperature", "threshold"}
    return TrainedSampling(**generator.model_dump(include=keys))


def generation_settings(study: Study, source: str, shard: str) -> GenerationSettings:
    """Return the settings of a job that generates a shard of a source.

    Parameters
    ----------
    study : Study
    source, shard : str
        Wildcards of the rule.
    """
    row = study.sources[source]
    generator = sampled_generator(study.generators, row.generator)
    ranges = guidance_ranges(study, source, shard)
    return GenerationSettings(
        source=source,
        generator=row.generator,
        recipe=row.recipe,
        guidance={scale: (start, stop) for scale, (start, stop) in ranges.items()},
        sampling=sampling_of(generator),
        image_size=study.image_size,
        channels=study.channels,
        storage=study.storage,
        version=PIPELINE_SAMPLING if generator.kind == "pretrained" else 0,
    )
