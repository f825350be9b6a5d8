"""What the figures and tables of a study show. Each is made where the study has its key, and left
out where it has not.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from synscale.study.models.base import Name, Positive, StrictModel, one_or_many
from synscale.study.models.sources import CurveSelection

Names = Annotated[list[Name], BeforeValidator(one_or_many), Field(min_length=1)]


class SamplesFigure(StrictModel):
    generator: Name
    recipes: Names
    columns: Positive = Field(description="images in a row of a cell")
    classes: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, description="ids of those that are shown; all by default"
    )


class PlaneFigure(StrictModel):
    generators: Names


class SweepFigure(StrictModel):
    experiment: Name
    architecture: Name
    evaluation: Name


class Panel(StrictModel):
    title: str
    law: Name
    architectures: Names
    curves: list[CurveSelection] = Field(min_length=1)


class ScalingFigure(StrictModel):
    """Loss and top-1 against size, a panel for each law and choice of curves."""

    panels: list[Panel] = Field(min_length=1)


class ExchangeFigure(StrictModel):
    law: Name
    architecture: Name
    curves: list[CurveSelection] = Field(
        min_length=1, description="synthetic ones, each set beside the law's real curve"
    )


class TeaserPanel(StrictModel):
    title: str
    architecture: Name
    laws: dict[Name, str] = Field(
        min_length=1, description="a group of bars each: law -> name in the figure"
    )
    curves: list[CurveSelection] = Field(min_length=1)


class TeaserFigure(StrictModel):
    panels: list[TeaserPanel] = Field(min_length=1)


class PerClassFigure(StrictModel):
    """Which classes are easy, scaling or poor; the thresholds are the study's, for the paper's are
    not known.
    """

    law: Name
    architecture: Name
    curves: list[CurveSelection] = Field(
        min_length=1, description="synthetic ones; the first is the one whose classes are shown"
    )
    easy_top1: float = Field(
        gt=0, le=1, description="easy: top-1 at the smallest size of the law is this high"
    )
    poor_k: float = Field(
        description="poor: not easy, and k is below this; every other class is scaling"
    )
    examples: Positive = Field(description="images of each class that is shown")


class LimitedRealFigure(StrictModel):
    """Few real images, alone and with synthetic ones added."""

    experiments: Names
    architecture: Name
    evaluation: Name
    mixtures: Names = Field(
        description="sources of kind mixture: so many real images first, then synthetic ones"
    )


class TransferFigure(StrictModel):
    """CLIP models of one size on every set and task."""

    experiments: Names
    architecture: Name
    evaluations: dict[Name, str] = Field(
        min_length=1, description="set or task -> name in the figure"
    )
    curves: list[CurveSelection] = Field(min_length=1)


class Figures(StrictModel):
    samples: SamplesFigure | None = None
    recognizability_diversity: PlaneFigure | None = None
    configuration_sweep: SweepFigure | None = None
    scores: SweepFigure | None = None
    supervised_scaling: ScalingFigure | None = None
    beyond_the_law: ScalingFigure | None = None
    per_class: PerClassFigure | None = None
    ood_scaling: ScalingFigure | None = None
    limited_real: LimitedRealFigure | None = None
    clip_scaling: ScalingFigure | None = None
    clip_transfer: TransferFigure | None = None
    teaser: TeaserFigure | None = None
    exchange_rate: ExchangeFigure | None = None


class EvaluationTable(StrictModel):
    evaluations: Names


class ConfigurationsTable(StrictModel):
    """What the scores say of each configuration, beside what it is worth to train on, at the
    largest size of the experiment.
    """

    experiment: Name
    architecture: Name
    evaluations: Names


class PromptsTable(StrictModel):
    each: Positive = Field(description="texts of each recipe: those of its first images")


class ClaimsTable(StrictModel):
    """Which curves each claim of the paper is tested on. Margins are ours: the abstract has words,
    no numbers.
    """

    law: Name
    architecture: Name
    curves: list[CurveSelection] = Field(
        min_length=1, description="synthetic ones that stand for synthetic images in general"
    )
    guidance: list[CurveSelection] = Field(
        min_length=1, description="curves that differ in guidance alone"
    )
    recipes: list[CurveSelection] = Field(
        min_length=1, description="curves that differ in the recipe alone"
    )
    generators: list[CurveSelection] = Field(
        min_length=1, description="curves that differ in the generator alone"
    )
    ood_laws: Names
    clip_law: Name
    clip_downstream_law: Name | None = Field(
        default=None, description="a law on other tasks, for a second row"
    )
    clip_architecture: Name
    clip_real: Name | None = Field(
        default=None, description="source of the real image-text pairs; by default the real images"
    )
    clip_curves: list[CurveSelection] = Field(
        min_length=1, description="synthetic image-text pairs"
    )
    clip_mixture: Name = Field(description="source of real and synthetic pairs, half and half")
    much: float = Field(gt=0, description="a k lower than the real one's by this is much lower")


class Counterpart(StrictModel):
    """What of this study is of the same kind as a published number: an exponent, or a top-1 or a
    cross-entropy at one size.
    """

    law: Name = Field(
        description="for a top-1 or a cross-entropy, the law whose evaluation sets and runs are used"
    )
    architecture: Name
    source: Name
    guidance: float | None = None
    size: Positive | None = Field(
        default=None,
        description="of a top-1 or a cross-entropy: training images, of a mixture those of all its parts. "
        "Each part must have as many images as the published number is of",
    )


class VersusTable(StrictModel):
    counterparts: dict[str, Counterpart] = Field(
        description="id in data/paper_numbers.csv -> this study's number of the same kind"
    )


class Tables(StrictModel):
    prompts: PromptsTable | None = None
    configurations: ConfigurationsTable | None = None
    supervised: EvaluationTable | None = None
    ood: EvaluationTable | None = None
    clip: EvaluationTable | None = None
    hyperparameters: StrictModel | None = None
    laws: StrictModel | None = None
    claims: ClaimsTable | None = None
    versus_paper: VersusTable | None = None
