"""A study, as the pydantic models that its YAML file must fit.

A study says *what* is compared: data, generators, prompt recipes, sources, classifiers and what each figure shows. It holds nothing
about the machine it runs on (that is the profile's). Every key is declared here, unknown keys are errors, and `studies/schema.json`
is made from these models for editors (`python -m scripts.lib.schema`). `study_file.py` reads a file
of them, `checks.py` holds what must be true across its parts, `jobs.py` what follows from them: runs, blocks, settings of each job.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

# Names stand in paths and in wildcards: no separator, no dot, no shell character can be in one.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


def _one_or_many(value):
    return [value] if isinstance(value, (int, float, str)) and value != "all" else value


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DigitsData(Part):
    """scikit-learn's 1,797 scans of handwritten digits, split by the form that they were written on (0 to 13, in array order)."""

    kind: Literal["sklearn_digits"]
    generator_training: list[Annotated[int, Field(ge=0, le=13)]] = Field(description="forms that only text-to-image models learn from")
    classifier_training: list[Annotated[int, Field(ge=0, le=13)]] = Field(description="forms that the source `real` is made of")
    evaluation: dict[Name, list[Annotated[int, Field(ge=0, le=13)]]] = Field(description="evaluation sets, forms of each")


class GeneratorTraining(Part):
    iterations: Positive
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    ema_decay: Share = Field(description="of the exponential moving average of the weights, which is what is kept")
    caption_dropout: Share = Field(description="share of captions replaced by the empty one, so that guidance has its second half")
    seed: int = 0


class DiffusionGenerator(Part):
    """A Stable Diffusion pipeline in pixel space, trained by the workflow."""

    kind: Literal["diffusion"]
    channels: list[Positive] = Field(description="of the UNet, a level each")
    text_width: Positive
    text_layers: Positive
    training: GeneratorTraining
    sampler: Literal["ddim", "dpmsolver++"]
    steps: Positive


class MaskedTokenGenerator(Part):
    """An aMUSEd pipeline (the open Muse) whose tokens are grey levels, trained by the workflow."""

    kind: Literal["masked_token"]
    width: Positive
    layers: Positive
    heads: Positive
    text_width: Positive
    text_layers: Positive
    training: GeneratorTraining
    steps: Positive
    temperature: tuple[float, float] = Field(description="of the choice of which tokens stay masked, first and last step")


Generator = Annotated[DiffusionGenerator | MaskedTokenGenerator, Field(discriminator="kind")]


class Recipe(Part):
    """How prompts are made from classes; the six kinds of the paper."""

    kind: Literal["class_names", "description", "hypernyms", "sentences", "clip_templates", "captions"]
    patterns: list[str] = Field(default=[], description="for `sentences`: each with {name} in it")


class RealSource(Part):
    kind: Literal["real"]
    images: Positive = Field(description="how many of the real training images are used, balanced over the classes")


class SyntheticSource(Part):
    kind: Literal["synthetic"]
    generator: Name
    recipe: Name
    images: dict[float, Positive] = Field(min_length=1, description="number of images at each guidance scale")


Source = Annotated[RealSource | SyntheticSource, Field(discriminator="kind")]


class Architecture(Part):
    """A ViT of timm."""

    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    pool: Literal["token", "avg"] = Field(description="class token, or mean of the patches, before the head")
    label: str = Field(description="name in figures")


class Classifiers(Part):
    """One training recipe for every source."""

    architectures: dict[Name, Architecture]
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    warmup: Share
    weight_decay: float = Field(ge=0)
    label_smoothing: Share
    position_std: float = Field(gt=0, description="standard deviation of the initial position embedding; timm's own is 0.02")
    runs_per_job: Literal["one", "all"] = Field(description="`all`: one job trains every run of a source and architecture")


class Curves(Part):
    """Guidance scales of one source; `all` of them, or those listed."""

    source: Name
    guidance: Literal["all"] | Annotated[list[float], BeforeValidator(_one_or_many)] = "all"


class Experiment(Part):
    """A set of training runs: every curve at every size with every seed on every architecture."""

    architectures: list[Name] = Field(min_length=1)
    sizes: list[Positive] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    curves: Literal["all"] | list[Curves]


def pairs(curves, sources: dict) -> list[tuple[str, float | None]]:
    """(source, guidance scale) of each curve, in the order of the study; real images have no guidance scale.

    `curves` is "all" or a list of Curves; what names no known source is left out (the checks tell of it).
    """
    if curves == "all":
        curves = [Curves(source=name) for name in sources]
    found = []
    for curve in curves:
        source = sources.get(curve.source)
        if source and source.kind == "real":
            found.append((curve.source, None))
        elif source:
            found += [(curve.source, scale) for scale in (source.images if curve.guidance == "all" else curve.guidance)]
    return found


class ReferenceRun(Part):
    source: Name
    architecture: Name
    size: Positive
    seed: int


class Scores(Part):
    reference: ReferenceRun = Field(description="the classifier, trained on real images, that judges synthetic ones")
    images: Positive = Field(description="the first images of each source that are judged: the same number for all")
    evaluation: Name = Field(description="evaluation set whose scores stand for real images")


class Law(Part):
    """L(D) = (C / D)^k for each curve of these experiments."""

    experiments: list[Name] = Field(min_length=1)
    evaluation: Name
    sizes: tuple[Positive, Positive] = Field(description="smallest and largest size in the fit")


class SamplesFigure(Part):
    generator: Name
    recipes: list[Name] = Field(min_length=1)
    columns: Positive = Field(description="images in each cell")


class PlaneFigure(Part):
    generators: list[Name] = Field(min_length=1)


class SweepFigure(Part):
    experiment: Name
    architecture: Name
    evaluation: Name


class Panel(Part):
    title: str
    curves: list[Curves] = Field(min_length=1)
    architectures: list[Name] = Field(min_length=1)


class ScalingFigure(Part):
    law: Name
    panels: list[Panel] = Field(min_length=1)


class ExchangeFigure(Part):
    law: Name
    architecture: Name
    curves: list[Curves] = Field(min_length=1, description="synthetic ones, each set beside the law's real curve")


class BeyondFigure(Part):
    law: Name
    panels: list[Panel] = Field(min_length=1)


class Figures(Part):
    samples: SamplesFigure
    recognizability_diversity: PlaneFigure
    configuration_sweep: SweepFigure
    supervised_scaling: ScalingFigure
    exchange_rate: ExchangeFigure
    beyond_the_law: BeyondFigure


class SupervisedTable(Part):
    evaluation: Name


class Tables(Part):
    supervised: SupervisedTable


class Study(Part):
    title: str
    gpus: Annotated[int, Field(ge=0, description="that a training or generation job of this study makes use of")]
    classes: str = Field(description="CSV of the classes: class_id, name, description, hypernyms")
    image_size: Positive
    channels: Literal[1, 3]
    images_per_block: Positive = Field(description="image indices that one generation job covers")
    data: DigitsData
    generators: dict[Name, Generator]
    recipes: dict[Name, Recipe]
    sources: dict[Name, Source]
    classifiers: Classifiers
    experiments: dict[Name, Experiment]
    scores: Scores
    laws: dict[Name, Law]
    figures: Figures
    tables: Tables
