"""Pydantic models of a study file.

A study defines what is compared: data, generators, prompt recipes, sources, classifiers, figures
and tables. It has nothing about the machine, which is in the profile. Unknown keys are errors.
`studies/schema.json` is generated from these models for editors (`python -m
synscale.study.schema`). `study/load.py` reads a file, `study/checks` has rules across its sections,
and `workflow` derives runs, shards and the settings of each job.
"""

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from synscale.study.models.author_checkpoints import AuthorCheckpoint
from synscale.study.models.base import Name, Positive, StrictModel
from synscale.study.models.classifiers import Classifiers
from synscale.study.models.clip import Clip
from synscale.study.models.data import Data
from synscale.study.models.figures import Figures, Tables
from synscale.study.models.generators import Generator, SafetyChecker, Storage
from synscale.study.models.recipes import Recipe
from synscale.study.models.scores import Scores
from synscale.study.models.sources import (
    CurveSelection,
    Experiment,
    Law,
    Source,
    expand_curves,
    names_class,
)
from synscale.study.models.training_parts import TrainingPart, images_of_each_part, resolve_mixture

__all__ = [
    "CurveSelection",
    "Figures",
    "Study",
    "Tables",
    "TrainingPart",
    "expand_curves",
    "images_of_each_part",
    "names_class",
    "resolve_mixture",
]


class Study(StrictModel):
    """A study, with the name of its file."""

    title: str = Field(description="title of the study in captions and reports")
    gpus: Annotated[int, Field(ge=0, description="number of GPUs of a training or generation job")]
    classes: str = Field(description="CSV of the classes: class_id, name, description, hypernyms")
    image_size: Positive = Field(description="side of a stored image in pixels")
    channels: Literal[1, 3] = Field(description="channels of an image: grey or RGB")
    images_per_shard: Positive = Field(description="image indices that one generation job covers")
    guidance_per_shard: Literal["all", "one"] = Field(
        default="all",
        description="`all`: one job generates its image indices at every guidance scale",
    )
    storage: Storage = Field(default=Storage(), description="format of stored images")
    data: Data = Field(description="real images for training and evaluation")
    generators: dict[Name, Generator] = Field(description="text-to-image models by name")
    safety_checker: SafetyChecker | None = Field(
        default=None, description="model that flags generated images on request"
    )
    recipes: dict[Name, Recipe] = Field(description="prompt recipes by name")
    sources: dict[Name, Source] = Field(description="sets of images to train on, by name")
    classifiers: Classifiers = Field(description="architectures and training recipe of classifiers")
    clip: Clip | None = Field(
        default=None, description="architectures, training recipe and tasks of CLIP models"
    )
    experiments: dict[Name, Experiment] = Field(description="training runs by name")
    scores: Scores = Field(description="scores of synthetic images")
    author_checkpoints: dict[Name, AuthorCheckpoint] = Field(
        default={}, description="checkpoints of the paper's authors, to verify the evaluation"
    )
    laws: dict[Name, Law] = Field(description="scaling laws by name")
    figures: Figures = Field(
        default=Figures(), description="by default, all that the experiments support"
    )
    tables: Tables = Field(
        default=Tables(), description="by default, all that the experiments support"
    )

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Name of the study file without suffix, and first folder of the study's results."""
        return self._name

    def named(self, name: str) -> "Study":
        """Set the name after the study is read. Return the study."""
        self._name = name
        return self

    # Identity is enough for caches, as each study file is read once.
    __hash__ = object.__hash__
