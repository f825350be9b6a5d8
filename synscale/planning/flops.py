"""FLOPs of sampling a generator. A multiplication and an addition count as two."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Released:
    """FLOPs of a model that others released. size: pixels a side of its images; forward: of one of
    them, with its text, through the UNet or transformer once; once: beside that, of its text
    encoder (two texts, for guidance) or decoder, whichever counts.
    """

    size: int
    forward: float
    once: float = 0.0


# Pattern of the model's id -> what `python -m scripts.count_flops` counts. A machine has speeds for
# the models alone that its file names, so that no other one passes for the last.
RELEASED = {
    "*IF-I-XL*": Released(64, 2.879e12, 2 * 0.7154e12),
    "*IF-II-*": Released(256, 3.090e12),  # of L, the larger of two
    "*amused-512*": Released(512, 0.2274e12, 1.909e12),
    "*": Released(512, 0.8033e12, 2.515e12),  # Stable Diffusion 1
}


def released(model: str) -> Released:
    return next(found for pattern, found in RELEASED.items() if fnmatchcase(model, pattern))


def transformer_flops(tokens: int, width: int, depth: int) -> float:
    """Forward: 24 n w^2 for the matrices of a layer (12 w^2 weights, a multiplication and an
    addition each), 4 n^2 w for attention.
    """
    return depth * (24 * tokens * width**2 + 4 * tokens**2 * width)


def forward_flops(generator: dict, image_size: int) -> float:
    """Of one image through a generator once. A proxy for the kinds that the workflow trains: only
    ratios within a kind count, for a machine's speed of `generate` is given by kind.

    generator: as the study has it, or its second stage. UNet: 5 residual blocks a level (2 down, 3
    up), two 3x3 convolutions each. U-ViT: a token for each 2x2 pixels. Released: as its pixels.
    """
    if "channels" in generator:
        return sum(
            5 * 2 * 2 * 9 * c**2 * (image_size / 2**level) ** 2
            for level, c in enumerate(generator["channels"])
        )
    if "width" in generator:
        return transformer_flops((image_size // 2) ** 2, generator["width"], generator["layers"])
    model = released(generator["model"])
    return model.forward * (generator["size"] / model.size) ** 2


def passes(stage: dict, guidance: float) -> int:
    """How often an image goes through a stage. Without guidance (up to 1) the empty prompt's pass
    is not made.
    """
    return stage["steps"] * (2 if guidance > 1 else 1)


def image_flops(generator: dict, image_size: int, guidance: float) -> float:
    """Of one image, by all stages."""
    found = passes(generator, guidance) * forward_flops(generator, image_size)
    if "model" in generator:
        model = released(generator["model"])
        found += model.once * (generator["size"] / model.size) ** 2
    if upscaler := generator.get("upscaler"):
        found += passes(upscaler, upscaler["guidance"]) * forward_flops(upscaler, image_size)
    return found


def kind_of(generator: dict) -> str:
    """What a machine's speed is looked up by: `diffusion`, or of a released model `pretrained:` and
    its name.
    """
    return generator["kind"] + (f":{generator['model']}" if "model" in generator else "")


def parameters(generator: dict) -> int:
    """Of the kinds that the workflow trains: the same blocks, and those of its texts and steps left
    out.
    """
    if "channels" in generator:
        return sum(5 * 2 * 9 * c**2 for c in generator["channels"])
    return 14 * generator["width"] ** 2 * generator["layers"]
