"""The text of a new study: sizes, guidance scales, models and experiments that fit its images.

Every number is this project's choice, to be edited.
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("scaffold.yaml")
SMALLEST = 10  # images of each class at the smallest size
FEWEST = 12  # images of each class with which three sizes are possible
SEEDS = [0, 1, 2]
SIDES = (64, 96, 128, 192, 256)  # pixels a side of large images
# Guidance scales, the one of the scaling curves first.
SCALES = {"trained": [1.5, 1.0, 2.0, 4.0], "pretrained": [1.5, 2.0, 4.0, 7.5]}


class ScaffoldError(ValueError):
    """Images of which no study can be made."""


@dataclass(frozen=True)
class Plan:
    """What the study file of a scaffold says.

    Parameters
    ----------
    name : str
    classes : int
        Number of classes.
    images : int
        Number of training images.
    image_size, channels : int
    gpus : int
    training, evaluation : str
        Lines of the sections `data.training` and `data.evaluation`.
    generator : str
        Value of the only generator.
    kind : {"trained", "pretrained"}
    """

    name: str
    classes: int
    images: int
    image_size: int
    channels: int
    gpus: int
    training: str
    evaluation: str
    generator: str
    kind: str

    @property
    def sizes(self) -> list[int]:
        """Numbers of real images: doublings from about 10 a class to all, balanced."""
        doublings = max(2, (self.images // (SMALLEST * self.classes)).bit_length() - 1)
        first = self.images // (self.classes << doublings)
        if first < FEWEST // 4:
            each = self.images // self.classes
            raise ScaffoldError(
                f"too few training images ({each} a class, expected at least {FEWEST}); add images"
            )
        return [first * self.classes << doubling for doubling in range(doublings + 1)]

    @property
    def synthetic_sizes(self) -> list[int]:
        """Numbers of synthetic images: those of real ones, doubled twice more."""
        largest = self.sizes[-1]
        return [*self.sizes, 2 * largest, 4 * largest]

    @property
    def patch(self) -> int:
        """Pixels a side of a patch: 16, or about an eighth of a small image."""
        wished = 16 if self.image_size >= 128 else max(2, self.image_size // 8)
        return next(size for size in range(wished, 0, -1) if self.image_size % size == 0)

    @property
    def iterations(self) -> dict[int, int]:
        """Training iterations of each size; each doubling multiplies them by 1.4."""
        first = 2000 if self.gpus else 200
        sizes = self.synthetic_sizes
        return {size: 10 * round(first / 10 * 2 ** (i / 2)) for i, size in enumerate(sizes)}


def side_of(median_side: int) -> int:
    """Return the pixels a side that images with this median side are stored with."""
    if median_side < SIDES[0]:
        return max(8, median_side - median_side % 4)
    return max(side for side in SIDES if side <= median_side)


def _architecture(plan: Plan, width: int, depth: int, heads: int, label: str) -> str:
    sizes = f"patch_size: {plan.patch}, width: {width}, depth: {depth}, heads: {heads}"
    return f"{{{sizes}, pool: avg, label: {label}}}"


def text(plan: Plan) -> str:
    """Return the content of the study file. Raises ScaffoldError if there are too few images."""
    sizes, synthetic = plan.sizes, plan.synthetic_sizes
    best, *others = SCALES[plan.kind]
    images = {best: synthetic[-1]} | dict.fromkeys(others, sizes[-1])
    on_gpu = bool(plan.gpus)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=plan.name,
        title=plan.name.replace("_", " ").capitalize(),
        gpus=plan.gpus,
        image_size=plan.image_size,
        channels=plan.channels,
        per_shard=min(25_600, synthetic[-1]),
        training=plan.training,
        evaluation=plan.evaluation,
        generator=plan.generator,
        sizes=sizes,
        fewest=sizes[0],
        all=sizes[-1],
        synthetic=synthetic,
        most=synthetic[-1],
        fitted=synthetic[-2],
        mixed=synthetic[1:-1],
        best=best,
        scales=", ".join(f"{scale}: {count}" for scale, count in sorted(images.items())),
        tiny=_architecture(plan, *((192, 6, 3) if on_gpu else (48, 2, 4)), "tiny ViT"),
        small=_architecture(plan, *((384, 12, 6) if on_gpu else (96, 4, 4)), "small ViT"),
        iterations=", ".join(f"{size}: {steps}" for size, steps in plan.iterations.items()),
        batch=256 if on_gpu else 32,
        rate=1.0e-3 if on_gpu else 3.0e-3,
        flip="true" if plan.channels == 3 else "false",
        seeds=SEEDS,
    )
