"""Settings of the jobs that train, evaluate, score and fit."""

from dataclasses import asdict

from synscale.study.models import Study, pairs, parts_of
from synscale.study.models.data import classified
from synscale.workflow import targets
from synscale.workflow.runs import Run, group_of, group_runs, runs, trainer, training_inputs
from synscale.workflow.shards import shards_until


def _training_settings(study: Study, source: str, group: str) -> dict:
    """`inputs`: whose tars the job is handed one after the other, and how many of each. `parts` of
    a run: what it trains on.
    """
    mine = group_runs(study, source, group)
    recipe = trainer(study, mine[0].architecture)
    files = {
        name: sum(len(shards_until(last)) for last in lasts)
        for name, lasts in training_inputs(study, source, group).items()
    }
    return {
        "runs": [
            asdict(run)
            | {
                "name": run.name,
                "iterations": recipe.iterations[run.size],
                "parts": parts_of(study.sources, run.source, run.guidance, run.size, run.seed),
            }
            for run in mine
        ],
        "inputs": files,
        "architectures": {
            name: recipe.architectures[name].model_dump(exclude={"label"})
            for name in sorted({r.architecture for r in mine})
        },
        "image_size": getattr(recipe, "image_size", None) or study.image_size,
        "channels": study.channels,
    }


def _trained(study: Study, source: str, group: str) -> list[dict]:
    return [asdict(run) | {"name": run.name} for run in group_runs(study, source, group)]


# Keys of an architecture that replace those of the recipe.
PER_ARCHITECTURE = {"learning_rate", "gradient_clip"}


def classifier_settings(study: Study, source: str, group: str) -> dict:
    """Return the settings of a job that trains classifiers, all of which have one architecture.

    Parameters
    ----------
    study : Study
    source, group : str
        Wildcards of the rule.

    Returns
    -------
    dict
        `training`: the recipe, with what the architecture sets in its place. A key that a study
        leaves at its default is left out, so that a new key changes no digest.
    """
    settings = _training_settings(study, source, group)
    apart = {"architectures", "iterations", "runs_per_job", "image_size"}
    training = study.classifiers.model_dump(exclude=apart, exclude_defaults=True)
    for architecture in settings["architectures"].values():
        training |= {key: architecture.pop(key) for key in PER_ARCHITECTURE & architecture.keys()}
    return settings | {"training": training}


def evaluation_settings(study: Study, source: str, group: str) -> dict:
    """`evaluation`: the sets, in the order of their tars. `masked`: any of them may lack some of
    the study's classes.
    """
    masked = {"masked": True} if study.data.kind == "files" else {}
    return {"runs": _trained(study, source, group), "evaluation": classified(study.data)} | masked


def clip_settings(study: Study, source: str, group: str) -> dict:
    """What a study leaves at its default is left out, so that a new default makes no model anew."""
    apart = {"architectures", "iterations", "runs_per_job", "templates", "tasks", "image_size"}
    training = study.clip.model_dump(exclude=apart, exclude_defaults=True)
    return _training_settings(study, source, group) | {"training": training}


def _sets_of_other_classes(study: Study) -> dict[str, dict]:
    """Evaluation sets that only CLIP is judged on: data set, and files of their classes and of the
    texts that name them.
    """
    return {
        name: own.model_dump()
        for name, own in study.data.evaluation.items()
        if study.data.kind == "files" and own.classes
    }


def clip_tables(study: Study) -> list[str]:
    """The files that describe the classes of such sets."""
    return sorted(
        {
            own[key]
            for own in _sets_of_other_classes(study).values()
            for key in ("classes", "templates")
        }
    )


def clip_evaluation_settings(study: Study, source: str, group: str) -> dict:
    """`sets`: those with classes of their own. `masked`: as in `evaluation_settings`."""
    chosen = study.clip.model_dump(include={"templates", "tasks"})
    more = (
        {"sets": _sets_of_other_classes(study), "masked": True}
        if study.data.kind == "files"
        else {}
    )
    return (
        {"runs": _trained(study, source, group), "evaluation": list(study.data.evaluation)}
        | chosen
        | more
    )


def experiment_settings(study: Study, experiments: list[str]) -> list[dict]:
    chosen = [study.experiments[name] for name in experiments]
    return [
        {
            "curves": pairs(e.curves, study.sources),
            **e.model_dump(include={"architectures", "sizes", "seeds"}),
        }
        for e in chosen
    ]


def law_settings(study: Study, law: str) -> dict:
    chosen = study.laws[law]
    return {
        "experiments": experiment_settings(study, chosen.experiments),
        "evaluation": chosen.evaluation,
        "sizes": chosen.sizes,
    }


def metric_files(study_name: str, study: Study, experiments: list[str] | None = None) -> list[str]:
    """Metrics of every run of these experiments: of classifiers in metrics/, of CLIP models in
    clip_metrics/.
    """
    found = {}
    for run in runs(study, experiments):
        folder = (
            "metrics" if trainer(study, run.architecture) is study.classifiers else "clip_metrics"
        )
        found[f"results/{study_name}/{folder}/{run.source}/{group_of(study, run)}.parquet"] = None
    return list(found)


def reference_run(study: Study) -> Run | None:
    """The run whose classifier makes the scores; None where it is a released one."""
    run = study.scores.reference
    if run.kind == "released":
        return None
    return Run(run.source, None, run.architecture, run.size, run.seed)


def reference_folder(study_name: str, study: Study) -> str:
    """Folder of the classifier that makes the scores: of the group that it is trained in, or of a
    released one.
    """
    run = reference_run(study)
    return f"results/{study_name}/" + (
        f"classifiers/{run.source}/{group_of(study, run)}" if run else "reference"
    )


def reference_settings(study: Study) -> dict:
    """Which weights of others the reference has, where it is a released one."""
    own = study.scores.reference
    if own.kind == "run":
        raise targets.NotInStudy(
            f"{study.title}: scores.reference is a run of the study: nothing is fetched for it"
        )
    return own.model_dump(include={"model", "revision"})


def score_settings(study: Study, source: str) -> dict:
    """`reference`: name of the run, or the settings of a released model."""
    row, run = study.sources[source], reference_run(study)
    scales = list(row.images) if row.kind == "synthetic" else [None]
    images = study.scores.images if scales != [None] else None
    return {
        "source": source,
        "guidance": scales,
        "images": images,
        "reference": run.name if run else reference_settings(study),
    }
