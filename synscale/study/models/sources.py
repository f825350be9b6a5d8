"""Sources, curves, experiments, scores and laws: what a study compares."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from synscale.study.models.base import HubModel, Name, Positive, StrictModel, one_or_many

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


class RealSource(StrictModel):
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


class PairSource(StrictModel):
    """Real images with texts of their own, which need not name a class: for CLIP alone."""

    kind: Literal["pairs"]
    data: Name = Field(description="training split of the data")
    images: Positive
    draws: Draws = 1
    images_per_shard: PerShard = None


class SyntheticSource(StrictModel):
    kind: Literal["synthetic"]
    generator: Name
    recipe: Name
    images: dict[float, Positive] = Field(
        min_length=1, description="number of images at each guidance scale"
    )
    draws: Draws = 1
    images_per_shard: PerShard = None


class MixturePart(StrictModel):
    source: Name
    guidance: float | None = None
    images: Positive | None = Field(
        default=None, description="its first images; parts without share equally what a size leaves"
    )


class Mixture(StrictModel):
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


class CurveSelection(StrictModel):
    """Guidance scales of one source; `all` of them, or those listed."""

    source: Name
    guidance: Literal["all"] | Annotated[list[float], BeforeValidator(one_or_many)] = "all"


class Experiment(StrictModel):
    """A set of training runs: every curve at every size with every seed on every architecture."""

    architectures: list[Name] = Field(min_length=1)
    sizes: list[Positive] = Field(
        min_length=1,
        description="training images (of CLIP image-text pairs); of a mixture, those of all its parts together",
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    curves: list[CurveSelection] = Field(min_length=1)


def expand_curves(curves: list[CurveSelection], sources: dict) -> list[tuple[str, float | None]]:
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


def names_class(source, recipes: dict) -> bool:
    """Whether every image of a source that is made shows the class that it is said to: alt texts
    need not name it.
    """
    return source.kind == "real" or (
        source.kind == "synthetic"
        and source.recipe in recipes
        and recipes[source.recipe].kind not in ("alt_texts", "pair_texts")
    )


class ReferenceRun(StrictModel):
    """A classifier that an experiment of the study trains."""

    kind: Literal["run"] = "run"
    source: Name
    architecture: Name
    size: Positive
    seed: int


class ReferenceModel(HubModel):
    """A classifier for timm. Its outputs are the study's classes, in the order of the class table."""

    kind: Literal["pretrained"] = "pretrained"


def _kind(value) -> str:
    model = "model" in value if isinstance(value, dict) else hasattr(value, "model")
    return "pretrained" if model else "run"


Reference = Annotated[
    Annotated[ReferenceRun, Tag("run")] | Annotated[ReferenceModel, Tag("pretrained")],
    Discriminator(_kind),
]


class Scores(StrictModel):
    reference: Reference = Field(
        description="the classifier of real images that judges synthetic ones: a run of the study, or a pretrained model"
    )
    images: Positive = Field(
        description="the first images of each source that are judged: the same number for all"
    )
    evaluation: Name = Field(description="evaluation set whose scores stand for real images")


class Law(StrictModel):
    """L(D) = (C / D)^k for each curve of these experiments."""

    experiments: list[Name] = Field(min_length=1)
    evaluation: Annotated[list[Name], BeforeValidator(one_or_many)] = Field(
        min_length=1, description="sets or tasks; of several, the mean loss"
    )
    sizes: tuple[Positive, Positive] = Field(
        description="limits of the fit: each curve is fitted to those of its sizes that lie between them, both included"
    )
