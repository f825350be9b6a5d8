"""Real images of a study: scikit-learn's digits, or data sets in files (`paths` in config.yaml)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from synscale.study.models.base import (
    SKIP,
    AboveZero,
    Name,
    Positive,
    StrictModel,
    is_none,
)

Form = Annotated[int, Field(ge=0, le=13)]
Forms = Annotated[list[Form], Field(min_length=1)]

DATASET = (
    "row of data/datasets.csv, or a new name; config.yaml's paths have its folder on this machine; "
    "or a path with a / in it"
)


class WriterSet(StrictModel):
    """Handwritten digits of these forms, unchanged."""

    kind: Literal["writers"]
    forms: Forms = Field(description="forms of the digits")


class OutlineSet(StrictModel):
    """Outlines of the handwritten digits of these forms."""

    kind: Literal["outlines"]
    forms: Forms = Field(description="forms of the digits")


class FontSet(StrictModel):
    """Printed digits in every font that matplotlib ships, upright and rotated."""

    kind: Literal["fonts"]
    angles: list[float] = Field(min_length=1, description="degrees, anticlockwise")


class AdversarialSet(StrictModel):
    """Handwritten digits of these forms that a small model classifies wrongly.

    The small model is trained on the forms of `generator_training`.
    """

    kind: Literal["adversarial"]
    forms: Forms = Field(description="forms that the digits are selected from")


EvaluationSet = Annotated[
    WriterSet | OutlineSet | FontSet | AdversarialSet, Field(discriminator="kind")
]


class DigitsData(StrictModel):
    """scikit-learn's 1,797 scans of handwritten digits, split by form (0 to 13, in array order)."""

    kind: Literal["sklearn_digits"]
    generator_training: list[Form] = Field(
        description="forms that only text-to-image models are trained on"
    )
    classifier_training: list[Form] = Field(description="forms of the source `real`")
    evaluation: dict[Name, EvaluationSet] = Field(
        min_length=1, description="evaluation sets by name"
    )


Captions = Annotated[
    Literal["measured"] | None,
    Field(
        default=None,
        exclude_if=is_none,
        description="texts of images of classes: the class and what is measured on the pixels, "
        "such as bright or wide; for CLIP and for the recipes captions and alt_texts",
    ),
]


class TrainingSet(StrictModel):
    """Real training images: of classes for sources of kind `real`, with texts for kind `pairs`."""

    dataset: str = Field(description=DATASET)
    skip: str | None = Field(default=None, description=SKIP)
    part: tuple[Annotated[int, Field(ge=0)], Positive | None] | None = Field(
        default=None,
        description="first image, and image after the last (null: the end), among the images that "
        "are not held out, in an order in which any range has images of every class in proportion",
    )
    captions: Captions


class FileSet(StrictModel):
    """Images to evaluate on.

    A set has the study's classes unless it names other `classes`; only CLIP models are evaluated
    on such a set, zero-shot.
    """

    kind: Literal["files"] = "files"
    dataset: str = Field(description=DATASET)
    classes: str | None = Field(
        default=None, description="CSV of the set's classes if they are not the study's"
    )
    templates: str | None = Field(
        default=None, description="YAML file, data set -> list of texts with {name} in them"
    )
    captions: Captions


class HeldOutSet(StrictModel):
    """Images of a training set that no run is trained on, the same fraction of every class.

    Which images they are follows from their names and the seed.
    """

    classes: ClassVar[None] = None
    templates: ClassVar[None] = None

    kind: Literal["held_out"]
    of: Name = Field(description="training set that the images are taken from")
    fraction: float = Field(gt=0, lt=1, description="fraction of the images of each class")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="seed of the selection")


class ShiftedSet(StrictModel):
    """Images of another evaluation set that are changed, or of which some are selected."""

    classes: ClassVar[None] = None
    templates: ClassVar[None] = None

    of: Name = Field(description="evaluation set that the images are taken from")


class OutlinedImages(ShiftedSet):
    """Edges only, with the greatest contrast to the background that the image has."""

    kind: Literal["outlines"]


class BlurredImages(ShiftedSet):
    """Images after a Gaussian filter."""

    kind: Literal["blurred"]
    sigma: AboveZero = Field(description="standard deviation of the filter in stored pixels")


class InvertedImages(ShiftedSet):
    """Negatives: 255 minus each value."""

    kind: Literal["inverted"]


class MisreadImages(ShiftedSet):
    """Images that a small model classifies wrongly: the class of the nearest mean image."""

    kind: Literal["adversarial"]
    trained_on: Name = Field(description="training set that the small model learns from")
    images: Positive | None = Field(
        default=None, description="its first images only; by default all images of its `part`"
    )


def _kind(value: Any) -> str:
    return value.get("kind", "files") if isinstance(value, dict) else value.kind


FileEvaluationSet = Annotated[
    Annotated[FileSet, Tag("files")]
    | Annotated[HeldOutSet, Tag("held_out")]
    | Annotated[OutlinedImages, Tag("outlines")]
    | Annotated[BlurredImages, Tag("blurred")]
    | Annotated[InvertedImages, Tag("inverted")]
    | Annotated[MisreadImages, Tag("adversarial")],
    Discriminator(_kind),
]


class FilesData(StrictModel):
    """Data sets in files.

    They are folders of classes, WebDataset tars, sets that torchvision reads, or pairs as
    img2dataset writes them.
    """

    kind: Literal["files"]
    training: dict[Name, TrainingSet] = Field(min_length=1, description="training sets by name")
    evaluation: dict[Name, FileEvaluationSet] = Field(
        min_length=1, description="evaluation sets by name, the main one first"
    )


Data = Annotated[DigitsData | FilesData, Field(discriminator="kind")]


def unmasked(evaluation: str) -> str:
    """Return the name of a set's metrics with all of the study's classes as possible answers.

    It differs from the name of the set if the set has only some of the classes.
    """
    return f"{evaluation}_unmasked"


def classified(data: Data) -> list[str]:
    """Return the evaluation sets that have the study's classes, for classifiers."""
    return [name for name, row in data.evaluation.items() if not getattr(row, "classes", None)]


def evaluations(data: Data, clip: bool = False) -> list[str]:
    """Return the names that metrics on evaluation sets may have.

    Parameters
    ----------
    data : Data
    clip : bool
        Whether the models are CLIP models, which are evaluated on sets with other classes too.

    Returns
    -------
    list of str
        Sets in files have a second name, see `unmasked`: whether they lack some of the study's
        classes is known only when their images are read.
    """
    names = classified(data)
    second = [unmasked(name) for name in names] if data.kind == "files" else []
    return [*(data.evaluation if clip else names), *second]
