"""What each table of a study is made of: its settings and its files, as `shown` has those of the
figures.
"""

from synscale.study.models import CurveSelection, Study, expand_curves, resolve_mixture
from synscale.workflow.paths import metric_files
from synscale.workflow.runs import training_runs
from synscale.workflow.settings.figures import (
    experiments_of_laws,
    labelled,
    limited_settings,
    part_of,
)
from synscale.workflow.settings.laws import experiment_settings, law_settings
from synscale.workflow.shards import is_real, real_sources


def names(study: Study) -> list[dict]:
    """How a table names each source at each guidance scale, mixtures too: source, guidance,
    generator, recipe.
    """
    found = []
    for source, guidance in expand_curves(
        [CurveSelection(source=name) for name in study.sources], study.sources
    ):
        row = study.sources[source]
        made = (
            (row.generator, row.recipe)
            if row.kind == "synthetic"
            else ("mixture", getattr(row, "label", ""))
        )
        told = ("real", row.kind) if is_real(row) else made
        found.append(
            {"source": source, "guidance": guidance, "generator": told[0], "recipe": told[1]}
        )
    return found


def prompts_settings(study: Study) -> dict:
    """Of every recipe that has prompts of its own: the texts of real pairs are no pool, and belong
    to no class.
    """
    pools = [name for name, recipe in study.recipes.items() if recipe.kind != "pair_texts"]
    return {"each": part_of(study, "prompts").each, "recipes": pools}


def configurations_settings(study: Study) -> dict:
    table = part_of(study, "configurations")
    curves = set(expand_curves(study.experiments[table.experiment].curves, study.sources))
    own = table.model_dump(include={"architecture", "evaluations"}) | {
        "experiments": experiment_settings(study, [table.experiment])
    }
    return own | {
        "labels": [row for row in names(study) if (row["source"], row["guidance"]) in curves]
    }


def table_settings(study: Study, name: str) -> dict:
    return {"evaluations": part_of(study, name).evaluations, "labels": names(study)}


def evaluation_table_files(study_name: str, study: Study, clip: bool) -> list[str]:
    return [path for path in metric_files(study) if ("/clip_metrics/" in path) == clip]


def hyperparameters_settings(study: Study) -> dict:
    """part -> name -> key -> value, of everything that is made, trained or scored. `epochs` follows
    from iterations, batch size and size.
    """
    part_of(study, "hyperparameters")
    parts = {"data": {name: own.model_dump() for name, own in study.data.evaluation.items()}}
    if study.data.kind == "files":
        parts["data"] |= {name: own.model_dump() for name, own in study.data.training.items()}
    else:
        parts["data"] |= {
            name: {"forms": getattr(study.data, name)}
            for name in ("generator_training", "classifier_training")
        }
    parts["images"] = {
        "all": {
            "side": study.image_size,
            "channels": study.channels,
            "images in a shard": study.images_per_shard,
        }
    }
    if study.storage.format != "png":
        parts["images"]["all"] |= study.storage.model_dump()
    parts["generators"] = {name: own.model_dump() for name, own in study.generators.items()}
    for name, own in (("classifiers", study.classifiers), ("clip", study.clip)):
        if own is None:
            continue
        parts[f"{name}: architectures"] = {
            key: part.model_dump() for key, part in own.architectures.items()
        }
        parts[f"{name}: training"] = {
            "all": own.model_dump(exclude={"architectures", "iterations", "tasks", "runs_per_job"})
        }
        sizes = {
            size: {"iterations": count, "epochs": round(count * own.batch_size / size, 1)}
            for size, count in own.iterations.items()
        }
        parts[f"{name}: training by size"] = {
            f"{size} images": rows for size, rows in sizes.items()
        }
    if study.clip:
        parts["clip: tasks"] = {
            name: own.model_dump(include={"evaluation", "templates"}) | {"texts": _texts(own)}
            for name, own in study.clip.tasks.items()
        }
    parts["scores"] = {"all": study.scores.model_dump()}
    return parts


def _texts(task) -> list[str]:
    """What CLIP may choose from in a task, each with what counts as it."""
    told = {
        text: ", ".join(map(str, own)) if isinstance(own, list) else own
        for text, own in (task.classes or task.captions).items()
    }
    return [text if text == own else f"{text}: {own}" for text, own in told.items()]


def laws_settings(study: Study) -> dict:
    part_of(study, "laws")
    return {"laws": {law: law_settings(study, law) for law in study.laws}, "labels": names(study)}


def claims_laws(study: Study) -> list[str]:
    claims = part_of(study, "claims")
    return list(
        dict.fromkeys(
            filter(
                None, [claims.law, *claims.ood_laws, claims.clip_law, claims.clip_downstream_law]
            )
        )
    )


def claims_experiments(study: Study) -> list[str]:
    limited = study.figures.limited_real.experiments if study.figures.limited_real else []
    return list(dict.fromkeys([*experiments_of_laws(study, claims_laws(study)), *limited]))


def claims_sources(study: Study) -> list[str]:
    """Sources whose classes are scored."""
    return list(
        dict.fromkeys(
            source for source, _ in expand_curves(part_of(study, "claims").curves, study.sources)
        )
    )


def claims_settings(study: Study) -> dict:
    """`laws`: settings of each law. `clip_pairs`: sizes of the mixture of image-text pairs and how
    many real ones are in each, of those that real pairs alone are trained on as well. `limited`: as
    the figure limited_real, or None. `draws`: into how many draws all sources are split, if they
    are.
    """
    claims, real = part_of(study, "claims"), real_sources(study)[0]
    clip_real = claims.clip_real or real
    named = claims.model_dump(
        include={
            "law",
            "architecture",
            "ood_laws",
            "clip_law",
            "clip_downstream_law",
            "clip_architecture",
            "clip_mixture",
            "min_difference",
        }
    )
    curves = {
        name: _curves(study, getattr(claims, name), claims.architecture)
        for name in ("curves", "guidance", "recipes", "generators")
    }
    curves["clip_curves"] = _curves(study, claims.clip_curves, claims.clip_architecture)
    trained = [
        run
        for run in training_runs(study, study.laws[claims.clip_law].experiments)
        if run.architecture == claims.clip_architecture
    ]
    alone = {run.size for run in trained if run.source == clip_real}
    sizes = sorted({run.size for run in trained if run.source == claims.clip_mixture})
    held = {
        size: sum(
            part.images
            for part in resolve_mixture(study.sources, claims.clip_mixture, None, size)
            if part.source == clip_real
        )
        for size in sizes
    }
    limited = limited_settings(study) if study.figures.limited_real else None
    if limited:
        limited["mixtures"] = [
            {key: row[key] for key in ("source", "label", "real_images")}
            for row in limited["mixtures"]
        ]
    sources = [row["source"] for own in curves.values() for row in own] + [real, clip_real]
    draws = {study.sources[source].draws for source in sources}
    return {
        **named,
        **curves,
        **({"draws": max(draws)} if len(draws) == 1 and draws != {1} else {}),
        "real": real,
        "clip_real": clip_real,
        "laws": {law: law_settings(study, law) for law in claims_laws(study)},
        "clip_pairs": [[size, count] for size, count in held.items() if count in alone],
        "limited": limited,
    }


def _curves(study: Study, curves, architecture: str) -> list[dict]:
    """As `labelled`, without the look: a table has none."""
    return [
        {key: value for key, value in row.items() if key != "look"}
        for row in labelled(study, curves, [architecture])
    ]


def versus_settings(study: Study) -> dict:
    counterparts = {
        name: own.model_dump() for name, own in part_of(study, "versus_paper").counterparts.items()
    }
    laws = {own["law"]: study.laws[own["law"]].evaluation for own in counterparts.values()}
    levels = {
        law: experiment_settings(study, study.laws[law].experiments) for law in level_laws(study)
    }
    return {
        "counterparts": counterparts,
        "evaluations": laws,
        "experiments": levels,
        "labels": names(study),
    }


def versus_laws(study: Study, wildcards=None) -> list[str]:
    return list(versus_settings(study)["evaluations"])


def level_laws(study: Study, wildcards=None) -> list[str]:
    """Laws whose runs are set beside a published top-1 or cross-entropy."""
    counterparts = part_of(study, "versus_paper").counterparts.values()
    return list(dict.fromkeys(own.law for own in counterparts if own.size is not None))
