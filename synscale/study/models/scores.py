"""Scores of synthetic images: the classifier, the feature spaces and the measures."""

from operator import not_
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag

from synscale.study.models.base import HubModel, Name, Positive, StrictModel
from synscale.study.models.selection import ClipRun


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


class ReferenceFeatures(StrictModel):
    """Features of the reference classifier: inputs of its last layer."""

    kind: Literal["reference"]


class Dinov2Features(HubModel):
    """Features of a DINOv2 model of timm."""

    kind: Literal["dinov2"]
    model: str = Field(
        default="timm/vit_large_patch14_dinov2.lvd142m",
        min_length=1,
        description="owner/name on the model hub; or a folder, whose path starts with / or .",
    )


class ClipFeatures(HubModel):
    """Features of a CLIP model of open_clip."""

    kind: Literal["clip"]
    model: str = Field(
        default="timm/vit_large_patch14_clip_336.openai",
        min_length=1,
        description="owner/name on the model hub; or a folder, whose path starts with / or .",
    )


class ClipRunFeatures(ClipRun):
    """Features of a CLIP model that an experiment of the study trains."""

    kind: Literal["clip_run"]


def _as_kind(value):
    """Return the keys of a feature space that is only named."""
    return {"kind": value} if isinstance(value, str) else value


_Features = Annotated[
    ReferenceFeatures | Dinov2Features | ClipFeatures | ClipRunFeatures,
    Field(discriminator="kind"),
]
Features = Annotated[
    _Features,
    BeforeValidator(
        _as_kind, json_schema_input_type=_Features | Literal["reference", "dinov2", "clip"]
    ),
]
Measure = Literal[
    "frechet_distance",
    "kernel_distance",
    "cmmd",
    "precision",
    "recall",
    "density",
    "coverage",
    "memorisation",
]
MEASURES: tuple[str, ...] = get_args(Measure)
# Measure -> neighbours of an image that it needs: those of Kynkaanniemi et al. (2019) and of Naeem
# et al. (2020, arXiv 2002.09797).
NEIGHBOURS = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
# Measures in the features of the reference that every study has, by the name that they have there.
ALWAYS = {"frechet_distance": "fid", "precision": "precision", "recall": "recall"}


class Scores(StrictModel):
    """Scores of synthetic images by a classifier of real ones."""

    reference: Reference = Field(
        description="classifier of real images: a run of the study, or a pretrained model"
    )
    images: Positive = Field(
        description="number of images of each source, its first ones; the same for all sources"
    )
    evaluation: Name = Field(description="evaluation set whose scores represent real images")
    features: list[Features] = Field(
        default=[],
        exclude_if=not_,
        description="feature spaces of the `measures`: `reference`, `dinov2`, `clip`, or the keys "
        "of one",
    )
    measures: list[Measure] = Field(
        default=[],
        exclude_if=not_,
        description="measures in each of the `features`, in addition to the scores that every "
        "study has",
    )

    @property
    def feature_spaces(self) -> dict[str, Features]:
        """Feature spaces by name: `clip` for each kind of CLIP model."""
        return {row.kind.removesuffix("_run"): row for row in self.features}

    def measures_in(self, feature: str) -> list[str]:
        """Return the measures that are computed in a feature space, in the order of `MEASURES`.

        CMMD is defined for CLIP. The distances that every study has are not computed twice.
        """
        left_out = set(ALWAYS) if feature == "reference" else set()
        left_out |= set() if feature == "clip" else {"cmmd"}
        return [name for name in MEASURES if name in self.measures and name not in left_out]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Measure and feature space of each additional score."""
        return [(name, space) for space in self.feature_spaces for name in self.measures_in(space)]
