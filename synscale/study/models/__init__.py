"""A study, as the pydantic models that its YAML file must fit.

A study says *what* is compared: data, generators, prompt recipes, sources, classifiers and what
each figure shows. It holds nothing about the machine it runs on (that is the profile's). Every key
is declared here, unknown keys are errors, and `studies/schema.json` is made from these models for
editors (`python -m synscale.study.schema`). `study_file.py` reads a file of them, `checks.py` holds
what must be true across its parts, `jobs/` what follows from them: runs, shards, settings of each
job.
"""

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from synscale.study.models.author_checkpoints import AuthorCheckpoint
from synscale.study.models.classifiers import Classifiers
from synscale.study.models.clip import Clips
from synscale.study.models.data import Data
from synscale.study.models.figures import Figures, Tables
from synscale.study.models.generators import Generator, SafetyChecker, Storage
from synscale.study.models.parts import (
    Curves,
    Experiment,
    Law,
    Name,
    Part,
    Positive,
    Scores,
    Source,
    images_of_each_part,
    names_class,
    pairs,
    parts_of,
)
from synscale.study.models.recipes import Recipe

__all__ = [
    "Curves",
    "Figures",
    "Study",
    "Tables",
    "images_of_each_part",
    "names_class",
    "pairs",
    "parts_of",
]


class Study(Part):
    title: str
    gpus: Annotated[
        int, Field(ge=0, description="that a training or generation job of this study makes use of")
    ]
    classes: str = Field(description="CSV of the classes: class_id, name, description, hypernyms")
    image_size: Positive
    channels: Literal[1, 3]
    images_per_shard: Positive = Field(description="image indices that one generation job covers")
    guidance_per_shard: Literal["all", "one"] = Field(
        default="all",
        description="`all`: one job makes its range of images at every guidance scale of a source",
    )
    storage: Storage = Storage()
    data: Data
    generators: dict[Name, Generator]
    safety_checker: SafetyChecker | None = None
    recipes: dict[Name, Recipe]
    sources: dict[Name, Source]
    classifiers: Classifiers
    clip: Clips | None = None
    experiments: dict[Name, Experiment]
    scores: Scores
    author_checkpoints: dict[Name, AuthorCheckpoint] = Field(
        default={}, description="checkpoints of the paper's authors, to check our evaluation by"
    )
    laws: dict[Name, Law]
    figures: Figures
    tables: Tables

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """Name of the study file, without suffix; the first folder of the study's results."""
        return self._name

    def named(self, name: str) -> "Study":
        """Set the name, once, after the study is read. Return the study."""
        self._name = name
        return self

    # A study is read once, so what follows from it can be remembered by the object.
    __hash__ = object.__hash__
