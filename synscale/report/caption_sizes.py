"""The sizes that the curves of a figure or table are trained at and fitted to, as a text.

A curve is (law, source, guidance scale, architecture), with law None if experiments are named
without a law.
"""

from itertools import product

from synscale.report.names import counted, display_name, escape_rst, join_words, span
from synscale.study.checks import figures
from synscale.study.models import CurveSelection, Study, expand_curves
from synscale.study.models.base import StrictModel
from synscale.study.models.figures import ExchangeFigure
from synscale.study.models.mixed_figures import JointLawFigure, RepetitionFigure
from synscale.study.models.sources import Source
from synscale.study.models.spent_images import real_images_spent
from synscale.study.models.two_kinds import two_kinds
from synscale.workflow.runs import iterations_of, training_recipe, training_runs
from synscale.workflow.shards import is_real, real_sources

CurveKey = tuple[str | None, str, float | None, str]
Sizes = dict[CurveKey, set[int]]


def shown_sizes(study: Study, part: StrictModel, sizes: Sizes) -> Sizes:
    """Return the sizes of those curves that a figure or table shows.

    A part that names no curves shows all of its architecture.

    Parameters
    ----------
    study : Study
    part : StrictModel
        Keys of the figure or table.
    sizes : Sizes
        Sizes of each curve.
    """
    shown = {
        key for _, inner in figures.nested_models("", part) for key in _shown_curves(study, inner)
    }
    architecture = getattr(part, "architecture", None)
    shown = shown or {curve for curve in sizes if architecture in (None, curve[-1])}
    return {curve: curve_sizes for curve, curve_sizes in sizes.items() if curve in shown}


def _selection(source: str, guidance: float | None) -> CurveSelection:
    return CurveSelection(source=source, guidance="all" if guidance is None else [guidance])


def _shown_curves(study: Study, part: StrictModel) -> list[CurveKey]:
    fields = {field: getattr(part, field) for field in type(part).model_fields}
    lists = [value for value in fields.values() if isinstance(value, list)]
    curves = [item for value in lists for item in value if isinstance(item, CurveSelection)]
    if isinstance(part, ExchangeFigure):
        curves = [*(CurveSelection(source=name) for name in real_sources(study)), *curves]
    if isinstance(part, RepetitionFigure):
        curves = [_selection(part.source, part.guidance)]
    if isinstance(part, JointLawFigure):
        pair = two_kinds(study.sources, part.mixtures[0])
        curves = [_selection(*curve) for curve in (pair.curves(part.mixtures) if pair else ())]
    laws = [fields["law"]] if "law" in fields else list(fields.get("laws") or [None])
    architectures = fields.get("architectures", [])
    if "architecture" in fields:
        architectures = [fields["architecture"]]
    keys = product(laws, expand_curves(curves, study.sources), architectures)
    return [(law, *pair, architecture) for law, pair, architecture in keys]


def trained_sizes(
    study: Study, laws: list[str], experiments: list[str], fitted: bool = False
) -> Sizes:
    """Return the sizes of each curve.

    Parameters
    ----------
    study : Study
    laws, experiments : list of str
        The experiments of these laws, or else these experiments.
    fitted : bool
        Whether to leave out the sizes that the law is not fitted to.
    """
    sizes: Sizes = {}
    for law in laws or (None,):
        low, high = study.laws[law].sizes if law and fitted else (0, float("inf"))
        for run in training_runs(study, study.laws[law].experiments if law else experiments):
            if low <= run.size <= high:
                key = law, run.source, run.guidance, run.architecture
                sizes.setdefault(key, set()).add(run.size)
    return sizes


def _kind_of(source: Source) -> str:
    """Return `real`, `synthetic` or the label of a mixture."""
    if source.kind == "mixture":
        return f'mixture "{source.label}"'
    return "real" if is_real(source) else "synthetic"


def _names_of_curve(study: Study, curve: CurveKey) -> list[str]:
    """Return the names of a curve, from the shortest to the longest."""
    law, source, guidance, architecture = curve
    name = display_name(source)
    at_guidance = name + ("" if guidance is None else f" at guidance {guidance:g}")
    complete = f"{at_guidance}, {display_name(architecture)}"
    return [_kind_of(study.sources[source]), name, at_guidance, complete, f"{complete}, law {law}"]


def epochs(study: Study, sizes: Sizes) -> str:
    """Return how many epochs each size is trained for: `13 at 480 images and 3.3 at 3,840`.

    Images that are seen, iterations times the batch size, over those of the training set. The
    recipes of classifiers and of CLIP models differ.

    Parameters
    ----------
    study : Study
    sizes : Sizes
        Sizes of each curve, as `trained_sizes` returns them.
    """
    numbers: dict[tuple[str, float], dict[int, float]] = {}
    for (*_, architecture), curve_sizes in sizes.items():
        recipe = training_recipe(study, architecture)
        unit = "images" if recipe is study.classifiers else "pairs"
        factor = getattr(recipe.architectures[architecture], "iterations_factor", None) or 1.0
        of_group = numbers.setdefault((unit, factor), {})
        for size in curve_sizes:
            steps = iterations_of(study, architecture, size)
            of_group[size] = steps * recipe.batch_size / size
    texts = []
    for (unit, factor), group in sorted(numbers.items()):
        rows = [
            f"{number:,.2g} at {size:,}" if number < 10 else f"{number:,.0f} at {size:,}"
            for size, number in sorted(group.items())
        ]
        name = "" if factor == 1 else f"iterations times {factor:g}: "
        texts.append(name + join_words([f"{rows[0]} {unit}", *rows[1:]]))
    return "; ".join(texts)


def real_images_spent_text(study: Study, sizes: Sizes) -> str:
    """Return how many real images fine-tuned the generators of these curves; empty if none did.

    Parameters
    ----------
    study : Study
    sizes : dict
        Sizes of each curve.
    """
    groups: dict[int, list[str]] = {}
    for source in dict.fromkeys(source for _, source, *_ in sizes):
        spent = real_images_spent(study.sources, study.generators, source)
        if spent:
            groups.setdefault(spent, []).append(escape_rst(display_name(source)))
    texts = [
        f"{counted(spent, 'real image')} fine-tuned the generator of {join_words(names)}"
        for spent, names in groups.items()
    ]
    return join_words(texts)


def by_curve(study: Study, sizes: Sizes, unit: str) -> str:
    """Return the sizes of curves, which are named as far as their sizes differ.

    Such as `5 sizes, 30 to 480 images (real) and 6 sizes, 30 to 960 images (synthetic)`.

    Parameters
    ----------
    study : Study
    sizes : dict
    unit : str
        What sizes count, such as `images`.
    """
    groups: dict[tuple, list[CurveKey]] = {}
    for curve, curve_sizes in sizes.items():
        groups.setdefault(tuple(sorted(curve_sizes)), []).append(curve)
    texts = [f"{counted(len(group), 'size')}, {span(group)} {unit}" for group in groups]
    if len(groups) == 1:
        return texts[0]
    for level in range(5):
        names = [
            list(dict.fromkeys(_names_of_curve(study, curve)[level] for curve in curves))
            for curves in groups.values()
        ]
        if sum(map(len, names)) == len(set().union(*names)):
            break
    longest = max(names, key=len)
    if len(longest) > 3:
        names = [["all others"] if group is longest else group for group in names]
    escaped = [join_words([escape_rst(name) for name in group]) for group in names]
    return join_words([f"{text} ({group})" for text, group in zip(texts, escaped, strict=True)])
