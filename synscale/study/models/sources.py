"""Sources, curves, experiments, scores and laws: what a study compares."""

from operator import not_
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from synscale.study.models.base import (
    DISPLAY_ONLY,
    SKIP,
    AboveZero,
    HubModel,
    Name,
    Positive,
    StrictModel,
    one_or_many,
)

PerShard = Annotated[
    Positive | None,
    Field(
        description="image indices that one job covers, in place of the study's number: more of "
        "them keep the number of jobs of a large source small"
    ),
]
Draws = Annotated[
    Positive,
    Field(
        exclude_if=lambda draws: draws == 1,
        description="disjoint parts of equal size that the images are split into; a run with seed "
        "s trains on part s modulo draws, so seeds repeat the draw of the images too",
    ),
]
DrawsOverlap = Annotated[
    bool,
    Field(
        exclude_if=not_,
        description="whether a set may be larger than a draw: it continues with the images of the "
        "next draws, after the last one with those of the first",
    ),
]
OneName = BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name])
Names = Annotated[list[Name], OneName, Field(min_length=1)]
OneScale = BeforeValidator(one_or_many, json_schema_input_type=float | list[float])
Scales = Annotated[list[float], OneScale]
RunsPerJob = Annotated[
    Literal["one", "curve", "all"],
    Field(
        description="runs that one job trains: `all` of a source and architecture, those of a "
        "`curve`, which has one guidance scale, or `one`"
    ),
]


class RealSource(StrictModel):
    """Real images of the study's classes."""

    kind: Literal["real"]
    data: Name | None = Field(
        default=None, description="training split of the data; the digits have only one"
    )
    images: Positive = Field(
        description="number of real training images to use, balanced over the classes"
    )
    draws: Draws = 1
    draws_overlap: DrawsOverlap = False
    images_per_shard: PerShard = None


class PairSource(StrictModel):
    """Real images with texts, which need not name a class: for CLIP only."""

    kind: Literal["pairs"]
    data: Name = Field(description="training split of the data")
    images: Positive = Field(description="number of pairs to use")
    draws: Draws = 1
    draws_overlap: DrawsOverlap = False
    images_per_shard: PerShard = None


class SyntheticSource(StrictModel):
    """Images that a generator creates from the prompts of a recipe."""

    kind: Literal["synthetic"]
    generator: Name = Field(description="name of a generator")
    recipe: Name = Field(description="name of a recipe")
    images: dict[float, Positive] = Field(
        min_length=1, description="number of images at each guidance scale"
    )
    images_of: Name | None = Field(
        default=None,
        description="study whose images of the source of the same name are used; everything that "
        "they depend on must be equal",
    )
    draws: Draws = 1
    draws_overlap: DrawsOverlap = False
    images_per_shard: PerShard = None


class ImagesSource(StrictModel):
    """Images of the study's classes that were generated elsewhere."""

    kind: Literal["images"]
    folder: str = Field(
        min_length=1,
        description="class folders or WebDataset tars: a path, which has a / in it, or a name in "
        "config.yaml's paths",
    )
    images: Positive = Field(description="number of images to use, balanced over the classes")
    prompts: bool = Field(
        default=False,
        description="whether every image has a text, {key}.txt in its tar or a .txt file of its "
        "name in its folder; CLIP needs them",
    )
    label: str = Field(
        default="",
        description="name in figures; by default the name of the source",
        json_schema_extra=DISPLAY_ONLY,
    )
    skip: str | None = Field(default=None, description=SKIP)
    draws: Draws = 1
    draws_overlap: DrawsOverlap = False
    images_per_shard: PerShard = None


class MixturePart(StrictModel):
    """Images of one source in a mixture."""

    source: Name = Field(description="name of a source")
    guidance: float | None = Field(default=None, description="guidance scale of a synthetic source")
    images: Positive | None = Field(
        default=None,
        description="number of images, the first ones of the source; parts without a number share "
        "the rest of a size equally",
    )
    weight: AboveZero = Field(
        default=1.0,
        exclude_if=lambda weight: weight == 1,
        description="weight of the loss of its images (CLIP: of its pairs), relative to that of "
        "other parts",
    )


class Mixture(StrictModel):
    """Training set composed of other sources. Its size counts the images of all parts.

    A mixture of N real pairs and the N synthetic images of the same captions has the size 2 N.
    """

    kind: Literal["mixture"]
    parts: list[MixturePart] = Field(
        min_length=2, description="parts in the order of the training set"
    )
    label: str = Field(description="name in figures")


Source = Annotated[
    RealSource | PairSource | SyntheticSource | ImagesSource | Mixture, Field(discriminator="kind")
]


class CurveSelection(StrictModel):
    """Guidance scales of one source: all of them, or those listed."""

    source: Name = Field(description="name of a source")
    guidance: Literal["all"] | Scales = Field(
        default="all", description="guidance scales of a synthetic source"
    )


class Experiment(StrictModel):
    """Training runs: every curve at every size with every seed on every architecture."""

    architectures: list[Name] = Field(
        min_length=1, description="names of architectures of classifiers or of CLIP"
    )
    sizes: list[Positive] = Field(
        min_length=1,
        description="numbers of training images (for CLIP, of image-text pairs); for a mixture, "
        "those of all parts together",
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        min_length=1, description="seeds of the trainings"
    )
    curves: list[CurveSelection] = Field(min_length=1, description="curves to train on")


def expand_curves(
    curves: list[CurveSelection], sources: dict[str, Source]
) -> list[tuple[str, float | None]]:
    """Return source and guidance scale of each curve, in the order of the list.

    Images without a guidance scale and mixtures have the scale None. Unknown sources are left out;
    a check reports them.

    Parameters
    ----------
    curves : list of CurveSelection
        Selections of a figure, table or experiment.
    sources : dict of str to Source
        Sources of the study, by name.
    """
    pairs: list[tuple[str, float | None]] = []
    for curve in curves:
        source = sources.get(curve.source)
        if isinstance(source, SyntheticSource):
            scales = source.images if curve.guidance == "all" else curve.guidance
            pairs += [(curve.source, scale) for scale in scales]
        elif source:
            pairs.append((curve.source, None))
    return pairs


def names_class(source, recipes: dict) -> bool:
    """Whether every image of a source shows the class of its label; alt texts need not name it.

    Parameters
    ----------
    source : Source
    recipes : dict
        Recipes of the study, by name.
    """
    if source.kind == "synthetic":
        recipe = recipes.get(source.recipe)
        return recipe is not None and recipe.kind not in ("alt_texts", "pair_texts")
    return source.kind in ("real", "images")


class ReferenceRun(StrictModel):
    """Classifier that an experiment of the study trains."""

    kind: Literal["run"] = "run"
    source: Name = Field(description="name of a source")
    architecture: Name = Field(description="name of an architecture")
    size: Positive = Field(description="number of training images")
    seed: int = Field(description="seed of the run")


class ReferenceModel(HubModel):
    """Classifier for timm. Its outputs are the study's classes in the order of the class table."""

    kind: Literal["pretrained"] = "pretrained"


def _kind(value) -> str:
    model = "model" in value if isinstance(value, dict) else hasattr(value, "model")
    return "pretrained" if model else "run"


Reference = Annotated[
    Annotated[ReferenceRun, Tag("run")] | Annotated[ReferenceModel, Tag("pretrained")],
    Discriminator(_kind),
]


class Scores(StrictModel):
    """Scores of synthetic images by a classifier of real ones."""

    reference: Reference = Field(
        description="classifier of real images: a run of the study, or a pretrained model"
    )
    images: Positive = Field(
        description="number of images of each source, its first ones; the same for all sources"
    )
    evaluation: Name = Field(description="evaluation set whose scores represent real images")


class Law(StrictModel):
    """L(D) = (C / D)^k for each curve of these experiments."""

    experiments: list[Name] = Field(min_length=1, description="names of experiments")
    evaluation: Names = Field(description="sets or tasks; for several, the mean loss is fitted")
    sizes: tuple[Positive, Positive] = Field(
        description="smallest and largest size that each curve is fitted to"
    )
