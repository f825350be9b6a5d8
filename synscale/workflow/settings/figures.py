"""What each figure and table of a study is drawn from: its settings and its files, as `jobs` has
those of the stages before them.
"""

from synscale.study import class_table
from synscale.study.models import (
    CurveSelection,
    Study,
    expand_curves,
    images_of_each_part,
    names_class,
)
from synscale.workflow.paths import image_files
from synscale.workflow.runs import training_recipe, training_runs
from synscale.workflow.settings.laws import experiment_settings, law_settings
from synscale.workflow.shards import is_real, real_sources, synthetic_sources
from synscale.workflow.targets import NotInStudy


def part_of(study: Study, name: str):
    """The study's key of a figure or table. Raises NotInStudy where it has none."""
    part = getattr(study.figures, name, None) or getattr(study.tables, name, None)
    if part is None:
        raise NotInStudy(
            f"{study.title}: the study has no figure or table {name!r}: add figures.{name} or tables.{name} to its file"
        )
    return part


def names_of(part) -> list[str]:
    """Figures or tables that a study has."""
    return [name for name in type(part).model_fields if getattr(part, name) is not None]


# -- curves ------------------------------------------------------------------------------------------------------------------------


def look(
    study: Study, source: str, guidance: float | None, architecture: str | None = None
) -> dict:
    """Numbers that settle colour and signs of a curve, the same in every figure: hue by recipe,
    dash by generator, shade and marker by guidance scale, weight by architecture. Real images have
    no hue; mixtures have one of their own.
    """
    row = study.sources[source]
    kind = "real" if is_real(row) else row.kind
    scales = sorted(
        {
            scale
            for other in study.sources.values()
            if other.kind == "synthetic"
            for scale in other.images
        }
    )
    own = list(
        study.clip.architectures
        if study.clip and architecture in study.clip.architectures
        else study.classifiers.architectures
    )
    found = {
        "hue": None,
        "dash": 0,
        "rank": 0,
        "ranks": len(scales),
        "weight": own.index(architecture) if architecture else 0,
        "kind": kind,
    }
    if row.kind == "mixture":
        mixtures = [name for name, other in study.sources.items() if other.kind == "mixture"]
        return found | {"rank": mixtures.index(source), "ranks": len(mixtures)}
    if row.kind == "synthetic":
        found |= {
            "hue": list(study.recipes).index(row.recipe),
            "dash": list(study.generators).index(row.generator),
        }
        found |= {"rank": scales.index(guidance) if guidance in scales else 0}
    return found


def labels(study: Study) -> list[dict]:
    """How each configuration is named in a figure or table: source, guidance, generator, recipe,
    number of images, look.
    """
    rows = []
    shown = [
        CurveSelection(source=name)
        for name, source in study.sources.items()
        if names_class(source, study.recipes)
    ]
    for source, guidance in expand_curves(shown, study.sources):
        row = study.sources[source]
        named = (
            {"generator": row.generator, "recipe": row.recipe, "images": row.images[guidance]}
            if row.kind == "synthetic"
            else None
        )
        named = named or {"generator": "real", "recipe": "real", "images": row.images}
        rows.append(
            {"source": source, "guidance": guidance}
            | named
            | {"look": look(study, source, guidance)}
        )
    return rows


def labelled(study: Study, curves, architectures: list[str]) -> list[dict]:
    """Every curve on every architecture with a look and a label: what differs among them, real
    images under their own name.
    """
    found = [
        (*pair, architecture)
        for pair in expand_curves(curves, study.sources)
        for architecture in architectures
    ]
    rows = [study.sources[source] for source, _, _ in found]
    synthetic = [row.kind == "synthetic" for row in rows]
    parts = [
        [row.generator if made else "" for row, made in zip(rows, synthetic, strict=True)],
        [row.recipe if made else "" for row, made in zip(rows, synthetic, strict=True)],
        ["" if scale is None else f"guidance {scale:g}" for _, scale, _ in found],
    ]
    differing = [
        part
        for part in parts
        if len({word for word, made in zip(part, synthetic, strict=True) if made}) > 1
    ]
    several, mixed = len(set(architectures)) > 1, len({row.kind for row in rows}) > 1
    named = []
    for i, (source, scale, architecture) in enumerate(found):
        words = [part[i] for part in differing if part[i]] or (
            ["real" if is_real(rows[i]) else rows[i].kind] if mixed or not several else []
        )
        words = [rows[i].label] if rows[i].kind == "mixture" else words
        label = ", ".join(
            words
            + (
                [training_recipe(study, architecture).architectures[architecture].label]
                if several
                else []
            )
        )
        own = {"source": source, "guidance": scale, "architecture": architecture, "label": label}
        named.append(own | {"look": look(study, source, scale, architecture)})
    return named


def experiments_of_laws(study: Study, laws: list[str]) -> list[str]:
    return list(dict.fromkeys(name for law in laws for name in study.laws[law].experiments))


# -- figures ---------------------------------------------------------------------------------------------------------------------------


def samples_sources(study: Study) -> list[str]:
    figure = part_of(study, "samples")
    return [synthetic_sources(study, [figure.generator], [recipe])[0] for recipe in figure.recipes]


def samples_tars(study_name: str, study: Study) -> list[str]:
    """Shards with the first image of each class."""
    return [
        tar
        for source in samples_sources(study)
        for tar in image_files(study, source, class_table.count(study.classes))
    ]


def samples_of_real(study_name: str, study: Study) -> list[str]:
    """As many real images of each class as there are columns."""
    most = class_table.count(study.classes) * len(samples_settings(study)["guidance"])
    return [tar for source in real_sources(study) for tar in image_files(study, source, most)]


def samples_settings(study: Study) -> dict:
    figure, shown = part_of(study, "samples"), samples_sources(study)
    scales = sorted({scale for source in shown for scale in study.sources[source].images})
    files = {
        recipe: len(image_files(study, source, class_table.count(study.classes)))
        for recipe, source in zip(figure.recipes, shown, strict=True)
    }
    return {"guidance": scales, "rows": files, "columns": figure.columns, "classes": figure.classes}


def plane_sources(study: Study) -> list[str]:
    return real_sources(study) + synthetic_sources(
        study, part_of(study, "recognizability_diversity").generators
    )


def plane_settings(study: Study) -> dict:
    shown = plane_sources(study)
    own = [row for row in labels(study) if row["source"] in shown]
    recipes = list(dict.fromkeys(row["recipe"] for row in own if row["recipe"] != "real"))
    return {
        "generators": part_of(study, "recognizability_diversity").generators,
        "recipes": recipes,
        "labels": own,
    }


def _configurations(study: Study, figure) -> dict:
    shown = set(expand_curves(study.experiments[figure.experiment].curves, study.sources))
    own = [row for row in labels(study) if (row["source"], row["guidance"]) in shown]
    names = {
        key: list(dict.fromkeys(row[key] for row in own if row[key] != "real"))
        for key in ("generator", "recipe")
    }
    return {
        "experiments": experiment_settings(study, [figure.experiment]),
        "architecture": figure.architecture,
        "evaluation": figure.evaluation,
        "generators": names["generator"],
        "recipes": names["recipe"],
        "labels": own,
    }


def sweep_settings(study: Study) -> dict:
    return _configurations(study, part_of(study, "configuration_sweep"))


def scores_settings(study: Study) -> dict:
    return _configurations(study, part_of(study, "scores"))


def configuration_sources(settings: dict) -> list[str]:
    return list(dict.fromkeys(row["source"] for row in settings["labels"]))


def panels_settings(study: Study, name: str) -> dict:
    """Of a figure made of panels of curves, each with a law: `laws` are the settings of each law,
    `panels` name theirs.
    """
    panels = [
        {
            "title": panel.title,
            "law": panel.law,
            "curves": labelled(study, panel.curves, panel.architectures),
        }
        for panel in part_of(study, name).panels
    ]
    return {
        "laws": {
            law: law_settings(study, law) for law in dict.fromkeys(panel["law"] for panel in panels)
        },
        "panels": panels,
    }


def beyond_settings(study: Study) -> dict:
    return panels_settings(study, "beyond_the_law")


def panel_laws(study: Study, name: str) -> list[str]:
    return list(dict.fromkeys(panel.law for panel in part_of(study, name).panels))


def exchange_settings(study: Study) -> dict:
    figure = part_of(study, "exchange_rate")
    curves = labelled(study, figure.curves, [figure.architecture])
    return law_settings(study, figure.law) | {
        "architecture": figure.architecture,
        "real": real_sources(study)[0],
        "curves": curves,
    }


def teaser_settings(study: Study) -> dict:
    panels = [
        {
            "title": panel.title,
            "laws": panel.laws,
            "curves": labelled(study, panel.curves, [panel.architecture]),
        }
        for panel in part_of(study, "teaser").panels
    ]
    return {"panels": panels}


def teaser_laws(study: Study) -> list[str]:
    return list(
        dict.fromkeys(law for panel in part_of(study, "teaser").panels for law in panel.laws)
    )


def per_class_settings(study: Study) -> dict:
    figure = part_of(study, "per_class")
    thresholds = figure.model_dump(include={"easy_top1", "poor_k", "examples"})
    curves = labelled(study, figure.curves, [figure.architecture])
    return (
        law_settings(study, figure.law)
        | thresholds
        | {"architecture": figure.architecture, "curves": curves}
    )


def per_class_sources(study: Study) -> list[str]:
    return list(dict.fromkeys(curve["source"] for curve in per_class_settings(study)["curves"]))


def per_class_tars(study_name: str, study: Study) -> list[str]:
    """The first images of the curve whose classes are shown."""
    first = per_class_settings(study)["curves"][0]
    return image_files(study, first["source"], 1, first["guidance"])


def limited_settings(study: Study) -> dict:
    figure = part_of(study, "limited_real")
    mixtures = [
        {
            "source": name,
            "label": study.sources[name].label,
            "real_images": study.sources[name].parts[0].images,
            "look": look(study, name, None),
        }
        for name in figure.mixtures
    ]
    own = figure.model_dump(include={"architecture", "evaluation"})
    return own | {
        "experiments": experiment_settings(study, figure.experiments),
        "real": real_sources(study)[0],
        "mixtures": mixtures,
    }


def _even_sizes(study: Study, curve: dict, experiments: list[str]) -> dict[int, int]:
    """Sizes that a curve is trained at and that hold equally many images of each of its parts: that
    number of images -> size.
    """
    key = (curve["source"], curve["guidance"], curve["architecture"])
    found = {}
    for size in sorted(
        {
            run.size
            for run in training_runs(study, experiments)
            if (run.source, run.guidance, run.architecture) == key
        }
    ):
        if (each := images_of_each_part(study.sources, *key[:2], size)) is not None:
            found[each] = size
    return found


def transfer_settings(study: Study) -> dict:
    """`models`: each curve at one size, so that all are trained on equally many images of each of
    their parts (`each`), as many as can be; then the synthetic ones once more, at their largest
    size (`extra`). Raises NotInStudy where there is no such number.
    """
    figure = part_of(study, "clip_transfer")
    curves = labelled(study, figure.curves, [figure.architecture])
    sizes = [_even_sizes(study, curve, figure.experiments) for curve in curves]
    common = set.intersection(*map(set, sizes))
    if not common:
        raise NotInStudy(
            "figures.clip_transfer: at no number of images of each part are all its curves trained: add sizes to its experiments"
        )
    each, models = max(common), []
    for extra in (False, True):
        for curve, own in zip(curves, sizes, strict=True):
            most = max(own) if extra else each
            if not extra or (study.sources[curve["source"]].kind == "synthetic" and most > each):
                models.append(curve | {"size": own[most], "each": most, "extra": extra})
    chosen = figure.model_dump(include={"architecture", "evaluations"})
    return chosen | {
        "experiments": experiment_settings(study, figure.experiments),
        "models": models,
    }
