"""FLOPs and weights of every model that a study trains, samples or evaluates.

A multiplication and an addition count as two. Architectures and generators are those of the study
(synscale/study/models).
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from synscale.study.models.classifiers import Architecture
from synscale.study.models.clip import ClipArchitecture
from synscale.study.models.generators import (
    DiffusionGenerator,
    Generator,
    MaskedTokenGenerator,
    Upscaler,
)

CLIP_TOKENS = 514  # CLIP's tokenizer: 256 bytes, the same at the end of a word, start and end
CLIP_MERGES = 48_894


@dataclass(frozen=True)
class Released:
    """FLOPs of an image of a model with released weights.

    Parameters
    ----------
    size : int
        Pixels a side.
    forward : float
        One pass through the UNet or transformer, with the text of the image.
    once : float
        In addition, per image: the text encoder (two texts, for guidance) or the decoder, whichever
        counts.
    """

    size: int
    forward: float
    once: float = 0.0


# Pattern of the model's id -> what `python -m scripts.count_flops` counts. Other models count as
# Stable Diffusion, but no hardware file has a speed for them until it names them.
RELEASED = {
    "*IF-I-XL*": Released(64, 2.879e12, 2 * 0.7154e12),
    "*IF-II-*": Released(256, 3.090e12),  # size L, the larger of two
    "*amused-512*": Released(512, 0.2274e12, 1.909e12),
    "*amused-256*": Released(256, 0.2135e12, 0.4774e12),
    "*": Released(512, 0.8033e12, 2.515e12),  # Stable Diffusion 1
}


def released(model: str) -> Released:
    """Return the FLOPs of a model with released weights, by its id."""
    return next(flops for pattern, flops in RELEASED.items() if fnmatchcase(model, pattern))


def transformer_flops(tokens: int, width: int, depth: int) -> float:
    """Return the FLOPs of a forward pass of one sequence through a transformer.

    A layer has 24 n w^2 for its matrices (12 w^2 weights) and 4 n^2 w for attention.

    Parameters
    ----------
    tokens : int
        Length of the sequence.
    width : int
        Width of the transformer.
    depth : int
        Number of layers.
    """
    return depth * (24 * tokens * width**2 + 4 * tokens**2 * width)


def vit_flops(architecture: Architecture | ClipArchitecture, image_size: int) -> float:
    """Return the FLOPs of a forward pass of one image through a ViT, that of CLIP included.

    Parameters
    ----------
    architecture : Architecture or ClipArchitecture
        Architecture of the model.
    image_size : int
        Pixels of a side.
    """
    has_class_token = getattr(architecture, "pool", "token") == "token"
    tokens = (image_size // architecture.patch_size) ** 2 + has_class_token
    return transformer_flops(tokens, architecture.width, architecture.depth)


def text_flops(architecture: Architecture | ClipArchitecture) -> float:
    """Return the FLOPs of a forward pass of one text through a CLIP model; 0 for a classifier."""
    if isinstance(architecture, Architecture):
        return 0.0
    return transformer_flops(
        architecture.context_length, architecture.text_width, architecture.text_depth
    )


def forward_flops(architecture: Architecture | ClipArchitecture, image_size: int) -> float:
    """Return the FLOPs of a forward pass of one image, and of its text for a CLIP model.

    Parameters
    ----------
    architecture : Architecture or ClipArchitecture
        Architecture of the model.
    image_size : int
        Pixels of a side.
    """
    return vit_flops(architecture, image_size) + text_flops(architecture)


def is_probe(architecture: Architecture | ClipArchitecture) -> bool:
    """Return whether only the head of a classifier is trained."""
    return isinstance(architecture, Architecture) and architecture.train == "head"


def forward_passes(
    repeats_features: bool = False, gradient_checkpointing: bool = False, is_probe: bool = False
) -> int:
    """Return the cost of a training step in forward passes.

    A forward pass is one, a backward pass two. Gradient checkpointing computes activations once
    more. The backward pass of a linear probe ends at the head, so it costs next to nothing.

    Parameters
    ----------
    repeats_features : bool
        Whether features are computed once more, as CLIP does for several micro-batches.
    gradient_checkpointing : bool
    is_probe : bool
        Whether only the head is trained.
    """
    return 1 if is_probe else 3 + repeats_features + gradient_checkpointing


def weights(architecture: Architecture | ClipArchitecture, image_size: int, channels: int) -> int:
    """Return the number of weights of a ViT or CLIP model.

    Layers, patches, positions, and the vocabulary, which is most of a small CLIP model.

    Parameters
    ----------
    architecture : Architecture or ClipArchitecture
        Architecture of the model.
    image_size : int
        Pixels of a side.
    channels : int
        Channels of an image.
    """
    width, patch = architecture.width, architecture.patch_size
    positions = (image_size // patch) ** 2
    count = 12 * width**2 * architecture.depth + width * (channels * patch**2 + positions)
    if isinstance(architecture, ClipArchitecture):
        merges = CLIP_MERGES if architecture.merges is None else architecture.merges
        tokens = CLIP_TOKENS + merges + architecture.context_length
        count += 12 * architecture.text_width**2 * architecture.text_depth
        count += architecture.text_width * tokens
    return count


def generator_weights(generator: DiffusionGenerator | MaskedTokenGenerator) -> int:
    """Return the number of weights of a generator that the workflow trains, without embeddings."""
    if isinstance(generator, DiffusionGenerator):
        return sum(5 * 2 * 9 * width**2 for width in generator.channels)
    return 14 * generator.width**2 * generator.layers


def generator_flops(stage: Generator | Upscaler, image_size: int) -> float:
    """Return the FLOPs of one pass of an image through a generator or its second stage.

    For the kinds that the workflow trains this is a proxy, as speeds are per kind: 5 residual
    blocks a level of a UNet (2 down, 3 up) with two 3x3 convolutions each; a token for each 2x2
    pixels of a U-ViT. Released models: in proportion to their pixels.

    Parameters
    ----------
    stage : Generator or Upscaler
        The generator, or its second stage.
    image_size : int
        Pixels of a side.
    """
    if isinstance(stage, DiffusionGenerator):
        levels = enumerate(stage.channels)
        return sum(180 * width**2 * (image_size / 2**level) ** 2 for level, width in levels)
    if isinstance(stage, MaskedTokenGenerator):
        return transformer_flops((image_size // 2) ** 2, stage.width, stage.layers)
    model = released(stage.model)
    return model.forward * (stage.size / model.size) ** 2


def passes(stage: Generator | Upscaler, guidance: float) -> int:
    """Return how many times an image passes through a stage: twice a step with guidance over 1.

    Parameters
    ----------
    stage : Generator or Upscaler
        The generator, or its second stage.
    guidance : float
        Guidance scale.
    """
    return stage.steps * (2 if guidance > 1 else 1)


def sampling_flops(generator: Generator, image_size: int, guidance: float) -> float:
    """Return the FLOPs of sampling one image, by all stages.

    Parameters
    ----------
    generator : Generator
    image_size : int
        Pixels a side of the study; released models have a size themselves.
    guidance : float
        Guidance scale of the first stage.
    """
    flops = passes(generator, guidance) * generator_flops(generator, image_size)
    if generator.kind != "pretrained":
        return flops
    model, upscaler = released(generator.model), generator.upscaler
    flops += model.once * (generator.size / model.size) ** 2
    if upscaler:
        flops += passes(upscaler, upscaler.guidance) * generator_flops(upscaler, image_size)
    return flops


def kind_of(generator: Generator) -> str:
    """Return the kind that speeds are looked up by, such as `diffusion` or `pretrained:{model}`."""
    is_pretrained = generator.kind == "pretrained"
    return f"pretrained:{generator.model}" if is_pretrained else generator.kind
