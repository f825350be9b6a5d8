"""Settings of the jobs that fine-tune generators, and what the weights of any generator are."""

from dataclasses import dataclass
from typing import ClassVar

from synscale.study.models import Study
from synscale.study.models.base import SAMPLING_ONLY
from synscale.study.models.generators import LoraTraining
from synscale.workflow import targets
from synscale.workflow.settings import IGNORED, Settings
from synscale.workflow.settings.generation import (
    fetch_settings,
    generator_settings,
    sentence_patterns,
)


@dataclass(frozen=True)
class FinetuningSettings(Settings):
    """What a generator is fine-tuned from, on and with; keys for its sampling do not count.

    Parameters
    ----------
    base : str
        Name of the generator that is fine-tuned.
    weights : GeneratorTrainingSettings or HubWeights
        What the weights of the base depend on.
    source : str
        Source of the real images.
    images : int
        Number of real images, the first ones of the source.
    lora : LoraTraining
    size : int
        Side of the images that the base generates, in pixels.
    channels : int
        Channels of the stored images.
    patterns : tuple of str
        Sentence patterns of every recipe of the study.
    variant : str or None
        Variant of the weight files of the base.
    """

    ignored: ClassVar[tuple[dict, ...]] = (*IGNORED, SAMPLING_ONLY)

    base: str
    weights: Settings
    source: str
    images: int
    lora: LoraTraining
    size: int
    channels: int
    patterns: tuple[str, ...]
    variant: str | None = None


def finetuning_settings(study: Study, generator: str) -> FinetuningSettings:
    """Return what a generator is fine-tuned with. Raise NotInStudy if it is of another kind."""
    row = targets.generator(study, generator, "lora")
    base = study.generators[row.base]
    return FinetuningSettings(
        base=row.base,
        weights=weights_settings(study, row.base),
        source=row.data.source,
        images=row.data.images,
        lora=row.lora,
        size=base.size if base.kind == "pretrained" else study.image_size,
        channels=study.channels,
        patterns=sentence_patterns(study),
        variant=getattr(base, "variant", None),
    )


def weights_settings(study: Study, generator: str) -> Settings:
    """Return what the weights of a generator of any kind depend on."""
    kinds = {"pretrained": fetch_settings, "finetuned": finetuning_settings}
    return kinds.get(study.generators[generator].kind, generator_settings)(study, generator)
