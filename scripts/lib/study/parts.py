"""The parts of a study, but for what its figures and tables show (`shown.py`)."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

# Names stand in paths and in wildcards: no separator, no dot, no shell character can be in one.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


def one_or_many(value):
    """A single value where a list is asked for is a list of one."""
    return [value] if isinstance(value, (int, float, str)) and value != "all" else value


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Form = Annotated[int, Field(ge=0, le=13)]


class WriterSet(Part):
    """Handwritten digits of these forms, as they are."""

    kind: Literal["writers"]
    forms: list[Form] = Field(min_length=1)


class OutlineSet(Part):
    """Outlines of the handwritten digits of these forms."""

    kind: Literal["outlines"]
    forms: list[Form] = Field(min_length=1)


class FontSet(Part):
    """Printed digits, in every font that matplotlib ships, upright and turned."""

    kind: Literal["fonts"]
    angles: list[float] = Field(min_length=1, description="degrees, anticlockwise")


class AdversarialSet(Part):
    """Those of the handwritten digits of these forms that a small model, trained on the forms of `generator_training`, gets wrong."""

    kind: Literal["adversarial"]
    forms: list[Form] = Field(min_length=1)


EvaluationSet = Annotated[WriterSet | OutlineSet | FontSet | AdversarialSet, Field(discriminator="kind")]


class DigitsData(Part):
    """scikit-learn's 1,797 scans of handwritten digits, split by the form that they were written on (0 to 13, in array order)."""

    kind: Literal["sklearn_digits"]
    generator_training: list[Form] = Field(description="forms that only text-to-image models learn from")
    classifier_training: list[Form] = Field(description="forms that the source `real` is made of")
    evaluation: dict[Name, EvaluationSet] = Field(min_length=1)


class RealSource(Part):
    kind: Literal["real"]
    images: Positive = Field(description="how many of the real training images are used, balanced over the classes")


class SyntheticSource(Part):
    kind: Literal["synthetic"]
    generator: Name
    recipe: Name
    images: dict[float, Positive] = Field(min_length=1, description="number of images at each guidance scale")


class MixturePart(Part):
    source: Name
    guidance: float | None = None
    images: Positive | None = Field(default=None, description="its first images; parts without share equally what a size leaves")


class Mixture(Part):
    """A training set put together from other sources, in which nothing is made anew."""

    kind: Literal["mixture"]
    parts: list[MixturePart] = Field(min_length=2)
    label: str = Field(description="name in figures")


Source = Annotated[RealSource | SyntheticSource | Mixture, Field(discriminator="kind")]


class Architecture(Part):
    """A ViT of timm."""

    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    pool: Literal["token", "avg"] = Field(description="class token, or mean of the patches, before the head")
    label: str = Field(description="name in figures")


RunsPerJob = Annotated[Literal["one", "all"], Field(description="`all`: one job trains every run of a source and architecture")]


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
    runs_per_job: RunsPerJob


class ClipArchitecture(Part):
    """A CLIP model of open_clip: a ViT for images, a transformer for texts."""

    embed_dim: Positive
    patch_size: Positive
    width: Positive
    depth: Positive
    heads: Positive
    text_width: Positive
    text_depth: Positive
    text_heads: Positive
    context_length: Positive = Field(description="tokens of a text")
    merges: Positive | None = Field(default=None, description="byte pairs of CLIP's tokenizer that are used, the most frequent; all by default")
    label: str = Field(description="name in figures")


class Task(Part):
    """A label set of its own on the images of an evaluation set, told to CLIP by text alone."""

    evaluation: Name
    templates: list[str] = Field(min_length=1, description="each with {name} in it")
    classes: dict[str, list[Annotated[int, Field(ge=0)]]] | None = Field(default=None, description="text -> class ids; other classes are left out")
    captions: dict[str, str] | None = Field(default=None, description="text -> words of an image's caption; images without are left out")


class Clips(Part):
    """One training recipe of CLIP models for every source of image-text pairs."""

    architectures: dict[Name, ClipArchitecture]
    iterations: dict[Positive, Positive] = Field(description="training iterations for each size")
    batch_size: Positive
    learning_rate: float = Field(gt=0)
    warmup: Share
    weight_decay: float = Field(ge=0)
    crop_scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = Field(description="area kept by the random crop")
    checkpoints: Positive = Field(description="equal parts of a training, after each of which its state is saved")
    runs_per_job: RunsPerJob
    templates: list[str] = Field(min_length=1, description="class-name templates of the zero-shot evaluation, each with {name} in it")
    tasks: dict[Name, Task]


class Curves(Part):
    """Guidance scales of one source; `all` of them, or those listed."""

    source: Name
    guidance: Literal["all"] | Annotated[list[float], BeforeValidator(one_or_many)] = "all"


class Experiment(Part):
    """A set of training runs: every curve at every size with every seed on every architecture."""

    architectures: list[Name] = Field(min_length=1)
    sizes: list[Positive] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    curves: list[Curves] = Field(min_length=1)


def pairs(curves: list[Curves], sources: dict) -> list[tuple[str, float | None]]:
    """(source, guidance scale) of each curve, in the order of the list; real images and mixtures have no guidance scale.

    What names no known source is left out (the checks tell of it).
    """
    found = []
    for curve in curves:
        source = sources.get(curve.source)
        if source and source.kind != "synthetic":
            found.append((curve.source, None))
        elif source:
            found += [(curve.source, scale) for scale in (source.images if curve.guidance == "all" else curve.guidance)]
    return found


def parts_of(sources: dict, source: str, guidance: float | None, size: int) -> list[dict]:
    """What the first `size` images of a source are made of: the first `images` of each of these (source, guidance)."""
    row = sources[source]
    if row.kind != "mixture":
        return [{"source": source, "guidance": guidance, "images": size}]
    left, taken = size, {}
    for place, part in enumerate(row.parts):
        if part.images is not None:
            taken[place] = min(part.images, left)
            left -= taken[place]
    share = left // max(1, sum(part.images is None for part in row.parts))
    own = [(part, taken.get(place, share)) for place, part in enumerate(row.parts)]
    return [{"source": part.source, "guidance": part.guidance, "images": images} for part, images in own if images]


def names_class(source, recipes: dict) -> bool:
    """Whether every image of a source that is made shows the class that it is said to: alt texts need not name it."""
    return source.kind == "real" or (source.kind == "synthetic" and source.recipe in recipes and recipes[source.recipe].kind != "alt_texts")


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
    evaluation: Annotated[list[Name], BeforeValidator(one_or_many)] = Field(min_length=1, description="sets or tasks; of several, the mean loss")
    sizes: tuple[Positive, Positive] = Field(description="smallest and largest size in the fit")
