"""What must hold of the figures and tables of a study: they show what is made, trained and fitted.
As the checks of `checks.py`.
"""

from collections.abc import Iterator
from pathlib import Path

from synscale.study import class_table, csv_tables
from synscale.study.checks.sources import curve_faults, unknown
from synscale.study.models import CurveSelection, expand_curves, images_of_each_part, names_class
from synscale.study.models.base import StrictModel
from synscale.study.models.data import evaluations

NUMBERS = Path("data/paper_numbers.csv")


def parts(key: str, value) -> Iterator[tuple[str, StrictModel]]:
    """Every part inside a part, with its key."""
    if isinstance(value, CurveSelection):
        return
    if isinstance(value, StrictModel):
        yield key, value
        for name in type(value).model_fields:
            yield from parts(f"{key}.{name}", getattr(value, name))
    elif isinstance(value, list | dict):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts(f"{key}.{name}", inner)


def shown(figures, tables) -> list[tuple[str, StrictModel]]:
    return [*parts("figures", figures), *parts("tables", tables)]


def what_is_shown_exists(
    figures, tables, laws, experiments, data, generators, recipes, classifiers, clip, sources
):
    """Every name under a key such as `law` or `evaluations` is one of the study's."""
    sets = [*evaluations(data, clip=True), *(clip.tasks if clip else [])]
    known = {
        "law": (laws, "law"),
        "experiment": (experiments, "experiment"),
        "evaluation": (sets, "evaluation set"),
        "generator": (generators, "generator"),
        "recipe": (recipes, "recipe"),
        "architecture": (
            [*classifiers.architectures, *(clip.architectures if clip else [])],
            "architecture",
        ),
        "mixture": (
            [name for name, source in sources.items() if source.kind == "mixture"],
            "mixture",
        ),
        "source": (sources, "source"),
        "real": (sources, "source"),
    }
    faults = []
    for key, part in shown(figures, tables):
        for field in type(part).model_fields:
            value = getattr(part, field)
            own = known.get(field.removesuffix("s").rpartition("_")[2])
            if isinstance(value, list) and value and isinstance(value[0], CurveSelection):
                faults += curve_faults(f"{key}.{field}", value, sources)
            elif own and isinstance(value, str | list | dict):
                for name in [value] if isinstance(value, str) else value:
                    faults += unknown(f"{key}.{field}", name, *own)
    return faults


def samples_are_made(figures, sources, generators, recipes, classes):
    figure = figures.samples
    if figure is None or figure.generator not in generators:
        return []
    count = class_table.count(classes)
    for own in figure.classes or []:
        if own >= count:
            return [f"figures.samples.classes = {own}: no such class; ids go from 0 to {count - 1}"]
    made = {
        (source.generator, source.recipe)
        for source in sources.values()
        if source.kind == "synthetic"
    }
    return [
        f"figures.samples.recipes = {name!r}: no source makes it with generator {figure.generator!r}; add one to sources"
        for name in figure.recipes
        if name in recipes and (figure.generator, name) not in made
    ]


def shown_runs_are_trained(figures, experiments):
    faults = []
    for key, part in parts("figures", figures):
        names = [getattr(part, "experiment", None), *(getattr(part, "experiments", None) or [])]
        own = [experiments[name] for name in names if name in experiments]
        architectures = [a for experiment in own for a in experiment.architectures]
        if own and getattr(part, "architecture", None):
            faults += unknown(
                f"{key}.architecture",
                part.architecture,
                architectures,
                f"architecture in experiments.{', '.join(n for n in names if n)}",
            )
    return faults


def shown_curves_are_fitted(figures, tables, laws, experiments, sources):
    """A part with laws, architectures and curves shows curves of those laws."""
    real = [
        CurveSelection(source=name) for name, source in sources.items() if source.kind == "real"
    ]
    faults = []
    for key, part in shown(figures, tables):
        fields = type(part).model_fields
        names = [part.law] if "law" in fields else list(getattr(part, "laws", None) or [])
        architectures = (
            [part.architecture] if "architecture" in fields else getattr(part, "architectures", [])
        )
        values = {field: getattr(part, field) for field in fields}
        curves = {
            field: value
            for field, value in values.items()
            if isinstance(value, list) and value and isinstance(value[0], CurveSelection)
        }
        curves.pop("clip_curves", None)  # of another law: see claims_have_their_curves
        if key in ("figures.exchange_rate", "tables.claims") and curves:
            curves["curves"] = [*real, *curves["curves"]]
        for law in names if architectures and curves else []:
            faults += [
                f
                for field, own in curves.items()
                for f in _not_fitted(
                    f"{key}.{field}", law, architectures, own, laws, experiments, sources
                )
            ]
    return list(dict.fromkeys(faults))


def _not_fitted(key, law, architectures, curves, laws, experiments, sources) -> list[str]:
    if law not in laws or curve_faults(key, curves, sources):
        return []  # told by what_is_shown_exists
    own = [experiments[e] for e in laws[law].experiments if e in experiments]
    fitted = {
        (*pair, architecture)
        for e in own
        for pair in expand_curves(e.curves, sources)
        for architecture in e.architectures
    }
    faults = []
    for source, scale in expand_curves(curves, sources):
        where = source if scale is None else f"{source} at guidance {scale:g}"
        missing = [
            architecture
            for architecture in architectures
            if (source, scale, architecture) not in fitted
        ]
        faults += [
            f"{key} = {where} on {a}: not in the experiments of laws.{law}; add it to one of them or drop it here"
            for a in missing
        ]
    return faults


def claims_have_their_curves(tables, laws, experiments, sources):
    claims = tables.claims
    if claims is None or claims.clip_mixture not in sources:
        return []
    real = [
        CurveSelection(source=name) for name, source in sources.items() if source.kind == "real"
    ]
    pairs_of = [CurveSelection(source=claims.clip_real)] if claims.clip_real else real
    curves = [*pairs_of, *claims.clip_curves, CurveSelection(source=claims.clip_mixture)]
    faults = []
    for law in filter(None, [claims.clip_law, claims.clip_downstream_law]):
        faults += _not_fitted(
            "tables.claims.clip_curves",
            law,
            [claims.clip_architecture],
            curves,
            laws,
            experiments,
            sources,
        )
    for law in claims.ood_laws:
        faults += _not_fitted(
            "tables.claims.curves",
            law,
            [claims.architecture],
            [*real, *claims.curves],
            laws,
            experiments,
            sources,
        )
    return faults


def published_numbers() -> dict[str, dict[str, str]]:
    """Rows by id."""
    return {row["id"]: row for row in csv_tables.rows(NUMBERS, "id")}


def _levels_differ(key, own, published, trained, sources) -> list[str]:
    """A published top-1 or cross-entropy is compared with a run on as many images of each part.

    trained: sizes of the curve in the experiments of the law.
    """
    level = "top-1" in published["metric"] or "cross-entropy" in published["metric"]
    if level != (own.size is not None):
        given = (
            "no size; the published number is of one"
            if level
            else f"size = {own.size}: {published['metric']} is of no single size"
        )
        return [f"{key}: {given}; {'add' if level else 'remove'} the key"]
    if not level:
        return []
    if own.size not in trained:
        return [
            f"{key}: size = {own.size}: not trained in the experiments of laws.{own.law}; trained: {sorted(trained)}"
        ]
    each = images_of_each_part(sources, own.source, own.guidance, own.size)
    if str(each) != published["x"]:
        found = f"size {own.size:,} has {'unequal numbers' if each is None else f'{each:,}'} images of each part"
        asked = f"{int(published['x']):,}" if published["x"].isdigit() else repr(published["x"])
        return [
            f"{key}: {found}, the published number is of {asked}; name the size that has as many"
        ]
    return []


def counterparts_exist(tables, laws, experiments, sources):
    """Ids are published numbers, and each has a number of this study: a fitted exponent, or runs of
    the same size.
    """
    counterparts = tables.versus_paper.counterparts if tables.versus_paper else {}
    if not counterparts:
        return []
    published, faults = published_numbers(), []
    for name, own in counterparts.items():
        key = f"tables.versus_paper.counterparts.{name}"
        faults += unknown(key, name, published, f"id in {NUMBERS}")
        if own.source in sources:
            curve = CurveSelection(
                source=own.source, guidance="all" if own.guidance is None else [own.guidance]
            )
            if sources[own.source].kind == "synthetic" and own.guidance is None:
                faults.append(f"{key}: no guidance; name one of {list(sources[own.source].images)}")
            else:
                wrong = _not_fitted(
                    key, own.law, [own.architecture], [curve], laws, experiments, sources
                )
                if not wrong and name in published and own.law in laws:
                    chosen = [
                        experiments[e]
                        for e in laws[own.law].experiments
                        if e in experiments and own.architecture in experiments[e].architectures
                    ]
                    trained = {
                        size
                        for e in chosen
                        if (own.source, own.guidance) in expand_curves(e.curves, sources)
                        for size in e.sizes
                    }
                    wrong = _levels_differ(key, own, published[name], trained, sources)
                faults += wrong
    return faults


def tables_have_their_metrics(tables, experiments, data, clip, sources, recipes):
    """Classifiers are evaluated on evaluation sets, CLIP models on tasks too; scores are made of
    sources whose prompts name a class.
    """
    faults = []
    for name in ("supervised", "ood", "configurations"):
        table = getattr(tables, name)
        for evaluation in table.evaluations if table else []:
            faults += unknown(
                f"tables.{name}.evaluations",
                evaluation,
                evaluations(data),
                "evaluation set of classifiers",
            )
    if tables.clip and clip is None:
        faults.append("tables.clip: the study has no clip; add them or remove the table")
    own = tables.configurations
    if own and own.experiment in experiments:
        trained = experiments[own.experiment].architectures
        faults += unknown(
            "tables.configurations.architecture",
            own.architecture,
            trained,
            f"architecture in experiments.{own.experiment}",
        )
    scored = (
        {"tables.configurations.experiment": experiments[own.experiment].curves}
        if own and own.experiment in experiments
        else {}
    )
    scored |= {"tables.claims.curves": tables.claims.curves} if tables.claims else {}
    for key, curves in scored.items():
        for curve in curves:
            if curve.source in sources and not names_class(sources[curve.source], recipes):
                faults.append(
                    f"{key}: {curve.source} has no scores, for its prompts name no class; drop it here"
                )
    return faults


CHECKS = [
    what_is_shown_exists,
    samples_are_made,
    shown_runs_are_trained,
    shown_curves_are_fitted,
    claims_have_their_curves,
    counterparts_exist,
    tables_have_their_metrics,
]
