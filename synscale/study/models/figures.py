"""Figures and tables of a study. Each is created if the study has its key."""

from typing import Annotated

from pydantic import Field

from synscale.study.models.base import Name, Positive, StrictModel
from synscale.study.models.mixed_figures import (
    JointLawFigure,
    RepetitionFigure,
    SelectionFigure,
)
from synscale.study.models.sources import CurveSelection, Names, OneName

Curves = Annotated[list[CurveSelection], Field(min_length=1)]


class SamplesFigure(StrictModel):
    """Images of one generator, for some classes, recipes and guidance scales."""

    generator: Name = Field(description="name of a generator")
    recipes: Names = Field(description="recipes to show, one row each")
    columns: Positive = Field(description="images in a row of a cell")
    classes: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, description="ids of the classes to show; all by default"
    )


class PlaneFigure(StrictModel):
    """Recognizability against diversity of each configuration."""

    generators: Annotated[list[Name], OneName] = Field(
        description="generators that have a panel; may be empty if all images were generated "
        "elsewhere"
    )


class SweepFigure(StrictModel):
    """Each configuration of an experiment: its metrics or scores."""

    experiment: Name = Field(description="name of an experiment")
    architecture: Name = Field(description="name of an architecture")
    evaluation: Name = Field(description="name of an evaluation set")


class Panel(StrictModel):
    """Curves of one law."""

    title: str = Field(description="title of the panel")
    law: Name = Field(description="name of a law")
    architectures: Names = Field(description="architectures whose runs are drawn")
    curves: Curves = Field(description="curves to draw")


class ScalingFigure(StrictModel):
    """Loss and top-1 against size, a panel for each law and choice of curves."""

    panels: list[Panel] = Field(min_length=1, description="panels from left to right")


class ExchangeFigure(StrictModel):
    """Number of synthetic images that replace one real image."""

    law: Name = Field(description="name of a law")
    architecture: Name = Field(description="name of an architecture")
    curves: Curves = Field(description="synthetic curves, each compared with the law's real curve")


class TeaserPanel(StrictModel):
    """Groups of bars, one for each law."""

    title: str = Field(description="title of the panel")
    architecture: Name = Field(description="name of an architecture")
    laws: dict[Name, str] = Field(min_length=1, description="law -> name of its group of bars")
    curves: Curves = Field(description="curves with a bar in each group")


class TeaserFigure(StrictModel):
    """The paper's first figure: exponents of a few curves."""

    panels: list[TeaserPanel] = Field(min_length=1, description="panels from left to right")


class PerClassFigure(StrictModel):
    """Easy, scaling and poor classes. The paper's thresholds are not known."""

    law: Name = Field(description="name of a law")
    architecture: Name = Field(description="name of an architecture")
    curves: Curves = Field(
        description="synthetic curves; the figure shows the classes of the first one"
    )
    easy_top1: float = Field(
        gt=0, le=1, description="lowest top-1 of an easy class at the smallest size of the law"
    )
    poor_k: float = Field(
        description="k below which a class that is not easy is poor; other classes are scaling"
    )
    examples: Positive = Field(description="images of each class in the figure")


class LimitedRealFigure(StrictModel):
    """Few real images, with and without added synthetic ones."""

    experiments: Names = Field(description="names of experiments")
    architecture: Name = Field(description="name of an architecture")
    evaluation: Name = Field(description="name of an evaluation set")
    mixtures: Names = Field(
        description="sources of kind mixture: a number of real images, then synthetic ones"
    )


class TransferFigure(StrictModel):
    """CLIP models of one size on every set and task."""

    experiments: Names = Field(description="names of experiments")
    architecture: Name = Field(description="name of an architecture of CLIP")
    evaluations: dict[Name, str] = Field(
        min_length=1, description="set or task -> name in the figure"
    )
    curves: Curves = Field(description="curves to compare")


class TrainingCurvesFigure(StrictModel):
    """Held-out loss over the steps of each training."""

    experiments: Names = Field(description="names of experiments")


class Figures(StrictModel):
    """Figures of a study by name."""

    samples: SamplesFigure | None = Field(
        default=None, description="first images of each recipe and guidance scale, and real images"
    )
    recognizability_diversity: PlaneFigure | None = Field(
        default=None, description="recognizability against diversity of each configuration"
    )
    configuration_sweep: SweepFigure | None = Field(
        default=None, description="top-1 of each configuration against its guidance scale"
    )
    scores: SweepFigure | None = Field(
        default=None, description="correlation of scores of images with top-1 after training"
    )
    supervised_scaling: ScalingFigure | None = Field(
        default=None, description="loss and top-1 of classifiers against size, with laws"
    )
    beyond_the_law: ScalingFigure | None = Field(
        default=None, description="three laws fitted to every size of each curve"
    )
    per_class: PerClassFigure | None = Field(
        default=None, description="loss and exponent of each class"
    )
    ood_scaling: ScalingFigure | None = Field(
        default=None, description="loss and top-1 of classifiers on out-of-distribution sets"
    )
    limited_real: LimitedRealFigure | None = Field(
        default=None, description="loss and top-1 with synthetic images added to few real ones"
    )
    joint_law: JointLawFigure | None = Field(
        default=None, description="loss by numbers of real and synthetic images, and prices"
    )
    repetition: RepetitionFigure | None = Field(
        default=None, description="loss by unique images and epochs, and what a repetition is worth"
    )
    selection: SelectionFigure | None = Field(
        default=None, description="loss by numbers of selected and of generated images"
    )
    clip_scaling: ScalingFigure | None = Field(
        default=None, description="zero-shot loss and top-1 of CLIP models against size, with laws"
    )
    clip_transfer: TransferFigure | None = Field(
        default=None, description="zero-shot metrics of CLIP models on every set and task"
    )
    teaser: TeaserFigure | None = Field(
        default=None, description="exponents of a few curves, as bars"
    )
    exchange_rate: ExchangeFigure | None = Field(
        default=None, description="number of synthetic images that replace the next real one"
    )
    training_curves: TrainingCurvesFigure | None = Field(
        default=None, description="held-out loss over the steps of each training"
    )


class EvaluationTable(StrictModel):
    """Metrics of every run on some evaluation sets."""

    evaluations: Names = Field(description="names of evaluation sets or tasks")


class ConfigurationsTable(StrictModel):
    """Scores of each configuration next to its metrics at the experiment's largest size."""

    experiment: Name = Field(description="name of an experiment")
    architecture: Name = Field(description="name of an architecture")
    evaluations: Names = Field(description="names of evaluation sets")


class PromptsTable(StrictModel):
    """Prompts of each recipe."""

    each: Positive = Field(description="number of prompts of each recipe, from its first images")


class ClaimsTable(StrictModel):
    """Curves that each claim of the paper is tested on.

    Margins are our choice: the abstract has words, no numbers. A claim whose keys are left out has
    no row: a study without CLIP models leaves out the keys clip_*.
    """

    law: Name = Field(description="law of the classifiers")
    architecture: Name = Field(description="architecture of the classifiers")
    curves: Curves = Field(description="curves that represent synthetic images in general")
    guidance: Curves | None = Field(default=None, description="differ in guidance only")
    recipes: Curves | None = Field(default=None, description="differ in the recipe only")
    generators: Curves | None = Field(default=None, description="differ in the generator only")
    ood_laws: Names | None = Field(default=None, description="laws on out-of-distribution sets")
    clip_law: Name | None = Field(default=None, description="law of the CLIP models")
    clip_downstream_law: Name | None = Field(
        default=None, description="a law on other tasks, for a second row"
    )
    clip_architecture: Name | None = Field(
        default=None, description="architecture of the CLIP models"
    )
    clip_real: Name | None = Field(
        default=None, description="source of the real image-text pairs; by default the real images"
    )
    clip_curves: Curves | None = Field(
        default=None, description="curves of synthetic image-text pairs"
    )
    clip_mixture: Name | None = Field(
        default=None, description="mixture of equally many real and synthetic pairs"
    )
    min_difference: float = Field(
        gt=0, description="smallest difference between two k that counts as much lower"
    )


class Counterpart(StrictModel):
    """Number of the study of the same kind as a published one.

    It is an exponent, or a top-1 or a cross-entropy at one size.
    """

    law: Name = Field(
        description="law of the exponent; for a top-1 or a cross-entropy, the law whose "
        "evaluation sets and runs are used"
    )
    architecture: Name = Field(description="name of an architecture")
    source: Name = Field(description="name of a source")
    guidance: float | None = Field(default=None, description="guidance scale of a synthetic source")
    size: Positive | None = Field(
        default=None,
        description="training images for a top-1 or a cross-entropy, of a mixture those of all "
        "parts together. Each part must have as many images as the published number is of",
    )


class VersusTable(StrictModel):
    """Published numbers next to those of this study."""

    counterparts: dict[str, Counterpart] = Field(
        description="id in data/paper_numbers.csv -> this study's number of the same kind"
    )


class Tables(StrictModel):
    """Tables of a study by name."""

    prompts: PromptsTable | None = Field(default=None, description="first prompts of each recipe")
    configurations: ConfigurationsTable | None = Field(
        default=None, description="scores of each configuration, and metrics after training on it"
    )
    supervised: EvaluationTable | None = Field(
        default=None, description="metrics of every classifier"
    )
    ood: EvaluationTable | None = Field(
        default=None, description="metrics of every classifier on out-of-distribution sets"
    )
    clip: EvaluationTable | None = Field(
        default=None, description="zero-shot metrics of every CLIP model"
    )
    hyperparameters: StrictModel | None = Field(
        default=None, description="hyper-parameters of generators, trainings and scores"
    )
    laws: StrictModel | None = Field(
        default=None, description="every fitted law with its intervals"
    )
    claims: ClaimsTable | None = Field(
        default=None, description="each claim of the paper with effect, interval and verdict"
    )
    versus_paper: VersusTable | None = Field(
        default=None, description="published numbers next to this study's"
    )
