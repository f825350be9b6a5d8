"""What a study compares: sources, curves, experiments, scores and laws; and the kinds of names and
numbers that all its parts are made of.
"""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

# Names stand in paths and in wildcards: no separator, no dot, no shell character can be in one.
NAME = r"^[a-z][a-z0-9_]*$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Backend = Literal[
    "inductor", "aot_eager", "eager"
]  # of torch.compile: the first makes kernels; the others make none, and try what is around them
# Marks a field that changes a result by rounding only (study/rounding.py).
ROUNDING_ONLY = {"rounding_only": True}
# Marks a field that changes how a result is shown, not the result.
DISPLAY_ONLY = {"display_only": True}
# Marks a field of a generator that its training does not read.
SAMPLING_ONLY = {"sampling_only": True}
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


def one_or_many(value):
    """A single value where a list is asked for is a list of one."""
    return [value] if isinstance(value, (int, float, str)) and value != "all" else value


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


PerShard = Annotated[
    Positive | None,
    Field(
        description="image indices that one job covers, in place of the study's number: a source of many images would make too many jobs to plan"
    ),
]


Draws = Annotated[
    Positive,
    Field(
        exclude_if=lambda draws: draws == 1,  # a study without draws keeps its settings
        description="disjoint parts of equal size that the images are split into: a run with seed s trains on part s modulo draws, so that seeds "
        "repeat the draw of the images, not only training",
    ),
]


class RealSource(Part):
    """Real images of the study's classes."""

    kind: Literal["real"]
    data: Name | None = Field(
        default=None, description="training split of the data; digits have one alone"
    )
    images: Positive = Field(
        description="how many of the real training images are used, balanced over the classes"
    )
    draws: Draws = 1
    images_per_shard: PerShard = None


class PairSource(Part):
    """Real images with texts of their own, which need not name a class: for CLIP alone."""

    kind: Literal["pairs"]
    data: Name = Field(description="training split of the data")
    images: Positive
    draws: Draws = 1
    images_per_shard: PerShard = None


class SyntheticSource(Part):
    kind: Literal["synthetic"]
    generator: Name
    recipe: Name
    images: dict[float, Positive] = Field(
        min_length=1, description="number of images at each guidance scale"
    )
    draws: Draws = 1
    images_per_shard: PerShard = None


class MixturePart(Part):
    source: Name
    guidance: float | None = None
    images: Positive | None = Field(
        default=None, description="its first images; parts without share equally what a size leaves"
    )


class Mixture(Part):
    """A training set put together from other sources. A size of it counts the images of all its
    parts.

    A mixture of N real pairs and the N synthetic images of the same captions therefore has the size
    2 N.
    """

    kind: Literal["mixture"]
    parts: list[MixturePart] = Field(min_length=2)
    label: str = Field(description="name in figures")


Source = Annotated[RealSource | PairSource | SyntheticSource | Mixture, Field(discriminator="kind")]


RunsPerJob = Annotated[
    Literal["one", "all"],
    Field(description="`all`: one job trains every run of a source and architecture"),
]


class Curves(Part):
    """Guidance scales of one source; `all` of them, or those listed."""

    source: Name
    guidance: Literal["all"] | Annotated[list[float], BeforeValidator(one_or_many)] = "all"


class Experiment(Part):
    """A set of training runs: every curve at every size with every seed on every architecture."""

    architectures: list[Name] = Field(min_length=1)
    sizes: list[Positive] = Field(
        min_length=1,
        description="training images (of CLIP image-text pairs); of a mixture, those of all its parts together",
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    curves: list[Curves] = Field(min_length=1)


def pairs(curves: list[Curves], sources: dict) -> list[tuple[str, float | None]]:
    """(source, guidance scale) of each curve, in the order of the list; real images and mixtures
    have no guidance scale.

    What names no known source is left out (the checks tell of it).
    """
    found = []
    for curve in curves:
        source = sources.get(curve.source)
        if source and source.kind != "synthetic":
            found.append((curve.source, None))
        elif source:
            found += [
                (curve.source, scale)
                for scale in (source.images if curve.guidance == "all" else curve.guidance)
            ]
    return found


def parts_of(
    sources: dict, source: str, guidance: float | None, size: int, seed: int = 0
) -> list[dict]:
    """Return what a training set of `size` images of a source is made of.

    Parameters
    ----------
    sources : dict
        The study's sources by name.
    source : str
    guidance : float or None
    size : int
    seed : int
        Seed of the run, which selects the draw of the images.

    Returns
    -------
    list of dict
        Source, guidance scale and number of images of each part, and the index of its first image (`start`) if that is not 0. A larger
        set of the same seed begins with the same images.
    """
    row = sources[source]
    if row.kind != "mixture":
        return [_drawn(sources, source, guidance, size, seed)]
    left, taken = size, {}
    for place, part in enumerate(row.parts):
        if part.images is not None:
            taken[place] = min(part.images, left)
            left -= taken[place]
    share = left // max(1, sum(part.images is None for part in row.parts))
    own = [(part, taken.get(place, share)) for place, part in enumerate(row.parts)]
    return [
        _drawn(sources, part.source, part.guidance, images, seed) for part, images in own if images
    ]


def _drawn(sources: dict, source: str, guidance: float | None, images: int, seed: int) -> dict:
    row, part = sources.get(source), {"source": source, "guidance": guidance, "images": images}
    draw = seed % getattr(row, "draws", 1)
    if draw == 0:
        return part
    return part | {"start": draw * images_in_draw(row, guidance)}


def images_in_draw(source, guidance: float | None) -> int:
    """Return how many images each draw of a source has at a guidance scale (None: real images); 0
    if it has none there.
    """
    images = source.images.get(guidance, 0) if source.kind == "synthetic" else source.images
    return images // source.draws


def images_of_each_part(
    sources: dict, source: str, guidance: float | None, size: int
) -> int | None:
    """Return how many images each part of a training set has; None if they differ or if there are
    none.

    For a mixture of real and synthetic pairs this is the number of captions.
    """
    images = {part["images"] for part in parts_of(sources, source, guidance, size)}
    return images.pop() if len(images) == 1 else None


def names_class(source, recipes: dict) -> bool:
    """Whether every image of a source that is made shows the class that it is said to: alt texts
    need not name it.
    """
    return source.kind == "real" or (
        source.kind == "synthetic"
        and source.recipe in recipes
        and recipes[source.recipe].kind not in ("alt_texts", "pair_texts")
    )


class ReferenceRun(Part):
    """A classifier that an experiment of the study trains."""

    kind: Literal["run"] = "run"
    source: Name
    architecture: Name
    size: Positive
    seed: int


class HubModel(Part):
    """A model that others released."""

    model: str = Field(
        min_length=1,
        description="owner/name on the model hub; or a folder, whose path starts with / or .",
    )
    revision: Revision | None = Field(
        default=None,
        description="commit on the hub; without one the first fetch records hashes and later ones keep to them",
    )

    @property
    def is_folder(self) -> bool:
        return self.model.startswith(("/", "."))


class ReferenceModel(HubModel):
    """A classifier for timm. Its outputs are the study's classes, in the order of the class table."""

    kind: Literal["released"] = "released"


def _kind(value) -> str:
    model = "model" in value if isinstance(value, dict) else hasattr(value, "model")
    return "released" if model else "run"


Reference = Annotated[
    Annotated[ReferenceRun, Tag("run")] | Annotated[ReferenceModel, Tag("released")],
    Discriminator(_kind),
]


class Scores(Part):
    reference: Reference = Field(
        description="the classifier of real images that judges synthetic ones: a run of the study, or a released model"
    )
    images: Positive = Field(
        description="the first images of each source that are judged: the same number for all"
    )
    evaluation: Name = Field(description="evaluation set whose scores stand for real images")


class Law(Part):
    """L(D) = (C / D)^k for each curve of these experiments."""

    experiments: list[Name] = Field(min_length=1)
    evaluation: Annotated[list[Name], BeforeValidator(one_or_many)] = Field(
        min_length=1, description="sets or tasks; of several, the mean loss"
    )
    sizes: tuple[Positive, Positive] = Field(
        description="limits of the fit: each curve is fitted to those of its sizes that lie between them, both included"
    )
