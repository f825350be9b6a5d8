"""Figures and tables of a study. Each is created if the study has its key."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from synscale.study.models.base import AboveZero, Name, Positive, StrictModel, one_or_many
from synscale.study.models.sources import CurveSelection

Names = Annotated[list[Name], BeforeValidator(one_or_many), Field(min_length=1)]
Curves = Annotated[list[CurveSelection], Field(min_length=1)]


class SamplesFigure(StrictModel):
    """Images of one generator, for some classes, recipes and guidance scales."""

    generator: Name
    recipes: Names
    columns: Positive = Field(description="images in a row of a cell")
    classes: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, description="ids of the classes to show; all by default"
    )


class PlaneFigure(StrictModel):
    """Recognizability against diversity of each configuration."""

    generators: Annotated[list[Name], BeforeValidator(one_or_many)] = Field(
        description="generators that have a panel; may be empty if all images were generated "
        "elsewhere"
    )


class SweepFigure(StrictModel):
    """Each configuration of an experiment: its metrics or scores."""

    experiment: Name
    architecture: Name
    evaluation: Name


class Panel(StrictModel):
    """Curves of one law."""

    title: str
    law: Name
    architectures: Names
    curves: Curves


class ScalingFigure(StrictModel):
    """Loss and top-1 against size, a panel for each law and choice of curves."""

    panels: list[Panel] = Field(min_length=1)


class ExchangeFigure(StrictModel):
    """Number of synthetic images that replace one real image."""

    law: Name
    architecture: Name
    curves: Curves = Field(description="synthetic curves, each compared with the law's real curve")


class TeaserPanel(StrictModel):
    """Groups of bars, one for each law."""

    title: str
    architecture: Name
    laws: dict[Name, str] = Field(min_length=1, description="law -> name of its group of bars")
    curves: Curves


class TeaserFigure(StrictModel):
    """The paper's first figure: exponents of a few curves."""

    panels: list[TeaserPanel] = Field(min_length=1)


class PerClassFigure(StrictModel):
    """Easy, scaling and poor classes. The paper's thresholds are not known."""

    law: Name
    architecture: Name
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

    experiments: Names
    architecture: Name
    evaluation: Name
    mixtures: Names = Field(
        description="sources of kind mixture: a number of real images, then synthetic ones"
    )


class Prices(StrictModel):
    """Prices of images, in the currency of the hardware file; the default is our choice."""

    real: AboveZero = Field(default=0.05, description="price of a real image with its label")
    synthetic: Literal["auto"] | Annotated[float, Field(ge=0)] = Field(
        default="auto",
        description="price of a synthetic image; `auto`: the plan's money for its generation on "
        "the hardware of config.yaml",
    )


class JointLawFigure(StrictModel):
    """Loss against the numbers of real and of synthetic images."""

    experiments: Names = Field(
        description="experiments that train the mixtures, and both kinds of images alone"
    )
    architecture: Name
    evaluation: Name
    mixtures: Names = Field(
        description="sources of kind mixture, all of the same two sources: real and synthetic"
    )
    prices: Prices = Prices()


class TransferFigure(StrictModel):
    """CLIP models of one size on every set and task."""

    experiments: Names
    architecture: Name
    evaluations: dict[Name, str] = Field(
        min_length=1, description="set or task -> name in the figure"
    )
    curves: Curves


class TrainingCurvesFigure(StrictModel):
    """Held-out loss over the steps of each training."""

    experiments: Names


class Figures(StrictModel):
    """Figures of a study by name."""

    samples: SamplesFigure | None = None
    recognizability_diversity: PlaneFigure | None = None
    configuration_sweep: SweepFigure | None = None
    scores: SweepFigure | None = None
    supervised_scaling: ScalingFigure | None = None
    beyond_the_law: ScalingFigure | None = None
    per_class: PerClassFigure | None = None
    ood_scaling: ScalingFigure | None = None
    limited_real: LimitedRealFigure | None = None
    joint_law: JointLawFigure | None = None
    clip_scaling: ScalingFigure | None = None
    clip_transfer: TransferFigure | None = None
    teaser: TeaserFigure | None = None
    exchange_rate: ExchangeFigure | None = None
    training_curves: TrainingCurvesFigure | None = None


class EvaluationTable(StrictModel):
    """Metrics of every run on some evaluation sets."""

    evaluations: Names


class ConfigurationsTable(StrictModel):
    """Scores of each configuration next to its metrics at the experiment's largest size."""

    experiment: Name
    architecture: Name
    evaluations: Names


class PromptsTable(StrictModel):
    """Prompts of each recipe."""

    each: Positive = Field(description="number of prompts of each recipe, from its first images")


class ClaimsTable(StrictModel):
    """Curves that each claim of the paper is tested on.

    Margins are our choice: the abstract has words, no numbers.
    """

    law: Name
    architecture: Name
    curves: Curves = Field(description="curves that represent synthetic images in general")
    guidance: Curves = Field(description="curves that differ in guidance only")
    recipes: Curves = Field(description="curves that differ in the recipe only")
    generators: Curves = Field(description="curves that differ in the generator only")
    ood_laws: Names
    clip_law: Name
    clip_downstream_law: Name | None = Field(
        default=None, description="a law on other tasks, for a second row"
    )
    clip_architecture: Name
    clip_real: Name | None = Field(
        default=None, description="source of the real image-text pairs; by default the real images"
    )
    clip_curves: Curves = Field(description="curves of synthetic image-text pairs")
    clip_mixture: Name = Field(description="mixture of equally many real and synthetic pairs")
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
    architecture: Name
    source: Name
    guidance: float | None = None
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

    prompts: PromptsTable | None = None
    configurations: ConfigurationsTable | None = None
    supervised: EvaluationTable | None = None
    ood: EvaluationTable | None = None
    clip: EvaluationTable | None = None
    hyperparameters: StrictModel | None = None
    laws: StrictModel | None = None
    claims: ClaimsTable | None = None
    versus_paper: VersusTable | None = None
