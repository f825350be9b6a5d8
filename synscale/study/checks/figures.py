"""Checks of figures and tables, which show existing sources, runs and laws."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synscale.study import class_table, csv_tables
from synscale.study.checks.claims import check_claims, fit_errors, real_curves
from synscale.study.checks.joint_law import check_joint_law
from synscale.study.checks.messages import curve_errors, name_errors
from synscale.study.checks.repetition import check_repetition
from synscale.study.models import CurveSelection, expand_curves, images_of_each_part, names_class
from synscale.study.models.base import StrictModel
from synscale.study.models.data import evaluations

NUMBERS = Path("data/paper_numbers.csv")


def nested_models(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every model inside a value, with its key, except curves.

    Parameters
    ----------
    key : str
        Place of the value in the study.
    value : object
        Model, list or dict.
    """
    if isinstance(value, CurveSelection):
        return
    if isinstance(value, StrictModel):
        yield key, value
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    items = value if isinstance(value, StrictModel) else items
    for name, inner in enumerate(value) if isinstance(value, list) else items:
        yield from nested_models(f"{key}.{name}", inner)


def _figures_and_tables(figures, tables) -> list[tuple[str, Any]]:
    return [*nested_models("figures", figures), *nested_models("tables", tables)]


def _is_curves(value) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], CurveSelection)


def check_names(
    figures, tables, laws, experiments, data, generators, recipes, classifiers, clip, sources
) -> Iterator[str]:
    """Check that every name under a key such as `law` or `evaluations` is one of the study's."""
    known = {
        "law": laws,
        "experiment": experiments,
        "evaluation": [*evaluations(data, clip=True), *(clip.tasks if clip else [])],
        "generator": generators,
        "recipe": recipes,
        "architecture": [*classifiers.architectures, *(clip.architectures if clip else [])],
        "mixture": [name for name, source in sources.items() if source.kind == "mixture"],
        "source": sources,
        "real": sources,
    }
    labels = {"evaluation": "evaluation set", "real": "source"}
    for key, model in _figures_and_tables(figures, tables):
        for field, value in model:
            kind = field.removesuffix("s").rpartition("_")[2]
            if _is_curves(value):
                yield from curve_errors(f"{key}.{field}", value, sources)
            elif kind in known and isinstance(value, str | list | dict):
                what = labels.get(kind, kind)
                yield from name_errors(f"{key}.{field}", value, known[kind], what)


def check_samples(figures, sources, generators, recipes, classes) -> Iterator[str]:
    """Check that the figure of samples has existing classes and recipes of its generator."""
    figure = figures.samples
    if figure is None or figure.generator not in generators:
        return
    count = class_table.count(classes)
    for class_id in figure.classes or []:
        if class_id >= count:
            yield f"figures.samples.classes = {class_id}: no such class; ids are 0 to {count - 1}"
    synthetic = [source for source in sources.values() if source.kind == "synthetic"]
    used = {source.recipe for source in synthetic if source.generator == figure.generator}
    for name in figure.recipes:
        if name in recipes and name not in used:
            yield (
                f"figures.samples.recipes = {name!r}: no source has it with generator "
                f"{figure.generator!r}; add one to sources"
            )


def check_plane(figures, sources) -> Iterator[str]:
    """Check that the plane of recognizability and diversity has images to show."""
    figure = figures.recognizability_diversity
    elsewhere = any(source.kind == "images" for source in sources.values())
    if figure is not None and not figure.generators and not elsewhere:
        yield (
            "figures.recognizability_diversity.generators = []: nothing to show; name a "
            "generator, or add a source of kind images"
        )


def check_runs(figures, experiments) -> Iterator[str]:
    """Check that experiments of a figure train its architecture."""
    for key, model in nested_models("figures", figures):
        names = [getattr(model, "experiment", None), *(getattr(model, "experiments", None) or [])]
        rows = [experiments[name] for name in names if name in experiments]
        if rows and getattr(model, "architecture", None):
            known = [architecture for row in rows for architecture in row.architectures]
            what = f"architecture in experiments.{', '.join(filter(None, names))}"
            yield from name_errors(f"{key}.architecture", model.architecture, known, what)


def check_curves(figures, tables, laws, experiments, sources) -> Iterator[str]:
    """Check that curves of a figure or table are curves of its laws."""
    for key, model in _figures_and_tables(figures, tables):
        fields = type(model).model_fields
        names = [model.law] if "law" in fields else list(getattr(model, "laws", None) or [])
        one = [model.architecture] if "architecture" in fields else []
        architectures = getattr(model, "architectures", one)
        curves = {field: value for field, value in model if _is_curves(value)}
        curves.pop("clip_curves", None)  # curves of another law, see check_claims
        if key in ("figures.exchange_rate", "tables.claims") and curves:
            curves["curves"] = [*real_curves(sources), *curves["curves"]]
        for law in names if architectures else []:
            for field, rows in curves.items():
                where = f"{key}.{field}"
                yield from fit_errors(where, law, architectures, rows, laws, experiments, sources)


def published_numbers() -> dict[str, dict[str, str]]:
    """Return the rows of data/paper_numbers.csv by id."""
    return {row["id"]: row for row in csv_tables.rows(NUMBERS, "id")}


def check_counterparts(tables, laws, experiments, sources) -> Iterator[str]:
    """Check that counterparts of published numbers are exponents or runs of the same size."""
    counterparts = tables.versus_paper.counterparts if tables.versus_paper else {}
    published = published_numbers() if counterparts else {}
    for name, row in counterparts.items():
        key = f"tables.versus_paper.counterparts.{name}"
        yield from name_errors(key, name, published, f"id in {NUMBERS}")
        source = sources.get(row.source)
        if source is None:
            continue
        if source.kind == "synthetic" and row.guidance is None:
            yield f"{key}: no guidance; name one of {list(source.images)}"
            continue
        scales: Any = "all" if row.guidance is None else [row.guidance]
        curves = [CurveSelection(source=row.source, guidance=scales)]
        architectures = [row.architecture]
        errors = [*fit_errors(key, row.law, architectures, curves, laws, experiments, sources)]
        yield from errors
        if not errors and name in published and row.law in laws:
            rows = [experiments[e] for e in laws[row.law].experiments if e in experiments]
            yield from _level_errors(key, row, published[name], rows, sources)


def _level_errors(key, row, published, experiments, sources) -> Iterator[str]:
    """Yield an error if a published top-1 or cross-entropy is of another number of images."""
    metric = published["metric"]
    if "top-1" not in metric and "cross-entropy" not in metric:
        if row.size is not None:
            yield f"{key}: size = {row.size}: {metric} has no single size; remove the key"
        return
    if row.size is None:
        yield f"{key}: no size (expected that of the published number); add the key"
        return
    trained = set()
    for experiment in experiments:
        pairs = expand_curves(experiment.curves, sources)
        if row.architecture in experiment.architectures and (row.source, row.guidance) in pairs:
            trained |= set(experiment.sizes)
    if row.size not in trained:
        fix = f"trained: {sorted(trained)}"
        yield f"{key}: size = {row.size}: not trained in the experiments of laws.{row.law}; {fix}"
        return
    images = images_of_each_part(sources, row.source, row.guidance, row.size)
    if str(images) != published["x"]:
        count = "unequal numbers" if images is None else f"{images:,}"
        expected = published["x"]
        expected = f"{int(expected):,}" if expected.isdigit() else repr(expected)
        yield (
            f"{key}: size {row.size:,}: wrong number of images of each part ({count}, expected "
            f"{expected} as in the published result); name the size that has as many"
        )


def check_metrics_of_tables(tables, experiments, data, clip, sources, recipes) -> Iterator[str]:
    """Check that tables have metrics of evaluated sets and scores of existing classes."""
    for name in ("supervised", "ood", "configurations"):
        names = getattr(getattr(tables, name), "evaluations", ())
        what = "evaluation set of classifiers"
        yield from name_errors(f"tables.{name}.evaluations", names, evaluations(data), what)
    if tables.clip and clip is None:
        yield "tables.clip: the study has no clip; add clip or remove the table"
    scored = {"tables.claims.curves": tables.claims.curves} if tables.claims else {}
    table = tables.configurations
    if table and table.experiment in experiments:
        experiment = experiments[table.experiment]
        scored["tables.configurations.experiment"] = experiment.curves
        key, what = "tables.configurations", f"architecture in experiments.{table.experiment}"
        known = experiment.architectures
        yield from name_errors(f"{key}.architecture", table.architecture, known, what)
    for key, curves in scored.items():
        for curve in curves:
            if curve.source in sources and not names_class(sources[curve.source], recipes):
                fix = "remove it here"
                yield f"{key}: {curve.source} has no scores, as its prompts name no class; {fix}"


def check_limited_real(figures, sources) -> Iterator[str]:
    """Check that mixtures of few real images begin with a fixed number of real images."""
    mixtures = figures.limited_real.mixtures if figures.limited_real else ()
    for name in mixtures:
        if name not in sources or sources[name].kind != "mixture":
            continue  # reported by check_names
        part = sources[name].parts[0]
        if part.images is None or part.source not in sources or sources[part.source].kind != "real":
            yield (
                f"figures.limited_real.mixtures = {name!r}: its first part is not a fixed number "
                f"of real images; set the source and images of sources.{name}.parts.0"
            )


def check_selection(figures, laws, experiments, sources) -> Iterator[str]:
    """Check that the figure of selections has selected curves, and the curves of all images."""
    figure = figures.selection
    for curve in figure.curves if figure else []:
        row = sources.get(curve.source)
        if row is None:
            continue  # reported by check_names
        key = f"figures.selection.curves = {curve.source!r}"
        if row.kind != "selected":
            yield f"{key}: a source of kind {row.kind} (expected selected); remove it here"
            continue
        scales: Any = "all" if row.guidance is None else [row.guidance]
        curves = [CurveSelection(source=row.source, guidance=scales)]
        names = laws, experiments, sources
        yield from fit_errors(
            f"{key}: all images", figure.law, [figure.architecture], curves, *names
        )


CHECKS: list[Callable[..., Iterator[str]]] = [
    check_names,
    check_limited_real,
    check_joint_law,
    check_repetition,
    check_selection,
    check_samples,
    check_plane,
    check_runs,
    check_curves,
    check_claims,
    check_counterparts,
    check_metrics_of_tables,
]
