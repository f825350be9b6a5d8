"""The real images of a study: scikit-learn's digits, or any data set in files, whose place on a
machine is config.yaml's `paths`.
"""

from typing import Annotated, Literal

from pydantic import Field

from synscale.study.models.base import Name, StrictModel

Form = Annotated[int, Field(ge=0, le=13)]


class WriterSet(StrictModel):
    """Handwritten digits of these forms, as they are."""

    kind: Literal["writers"]
    forms: list[Form] = Field(min_length=1)


class OutlineSet(StrictModel):
    """Outlines of the handwritten digits of these forms."""

    kind: Literal["outlines"]
    forms: list[Form] = Field(min_length=1)


class FontSet(StrictModel):
    """Printed digits, in every font that matplotlib ships, upright and turned."""

    kind: Literal["fonts"]
    angles: list[float] = Field(min_length=1, description="degrees, anticlockwise")


class AdversarialSet(StrictModel):
    """Those of the handwritten digits of these forms that a small model, trained on the forms of
    `generator_training`, gets wrong.
    """

    kind: Literal["adversarial"]
    forms: list[Form] = Field(min_length=1)


EvaluationSet = Annotated[
    WriterSet | OutlineSet | FontSet | AdversarialSet, Field(discriminator="kind")
]


class DigitsData(StrictModel):
    """scikit-learn's 1,797 scans of handwritten digits, split by the form that they were written on
    (0 to 13, in array order).
    """

    kind: Literal["sklearn_digits"]
    generator_training: list[Form] = Field(
        description="forms that only text-to-image models learn from"
    )
    classifier_training: list[Form] = Field(description="forms that the source `real` is made of")
    evaluation: dict[Name, EvaluationSet] = Field(min_length=1)


class TrainingSet(StrictModel):
    """Real images to train on: of classes for a source of kind `real`, of texts for one of kind
    `pairs`.
    """

    dataset: Name = Field(
        description="row of data/datasets.csv, or a name of your own; where it lies is config.yaml's paths"
    )
    skip: str | None = Field(
        default=None,
        description="text file with a line for each image to leave out, as the message about a broken one names it",
    )


class FileSet(StrictModel):
    """Images to evaluate on. Of the study's classes, or of classes of its own: then CLIP alone is
    asked about it, zero-shot.
    """

    dataset: Name = Field(
        description="row of data/datasets.csv, or a name of your own; where it lies is config.yaml's paths"
    )
    classes: str | None = Field(
        default=None, description="CSV of the set's own classes: class_id, name"
    )
    templates: str | None = Field(
        default=None, description="YAML file, data set -> list of texts with {name} in them"
    )


class FilesData(StrictModel):
    """Data sets in files: folders of classes, WebDataset tars, what torchvision reads, or pairs as
    img2dataset writes them.
    """

    kind: Literal["files"]
    training: dict[Name, TrainingSet] = Field(min_length=1)
    evaluation: dict[Name, FileSet] = Field(min_length=1)


Data = Annotated[DigitsData | FilesData, Field(discriminator="kind")]


def unmasked(evaluation: str) -> str:
    """Name of the metrics of a set with some of the study's classes where a model chose among all
    of them (`lib/tally.py`).
    """
    return f"{evaluation}_unmasked"


def classified(data: Data) -> list[str]:
    """The evaluation sets whose classes are the study's: those that classifiers are judged on."""
    return [name for name, own in data.evaluation.items() if getattr(own, "classes", None) is None]


def evaluations(data: Data, clip: bool = False) -> list[str]:
    """Names that metrics on evaluation sets may have. clip: of CLIP models, which are judged on
    sets with classes of their own too.

    Only a set in files may lack some of the study's classes; whether it does is known when its
    images are.
    """
    own = classified(data)
    return [
        *(data.evaluation if clip else own),
        *map(unmasked, own if data.kind == "files" else []),
    ]
