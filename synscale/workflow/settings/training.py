"""Settings of the jobs that train classifiers and CLIP models."""

from dataclasses import asdict

from synscale.study.models import Study, parts_of
from synscale.workflow.runs import group_runs, training_inputs, training_recipe
from synscale.workflow.shards import shards_until


def _training_settings(study: Study, source: str, group: str) -> dict:
    """`inputs`: whose tars the job is handed one after the other, and how many of each. `parts` of
    a run: what it trains on.
    """
    mine = group_runs(study, source, group)
    recipe = training_recipe(study, mine[0].architecture)
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


def clip_settings(study: Study, source: str, group: str) -> dict:
    """What a study leaves at its default is left out, so that a new default makes no model anew."""
    apart = {"architectures", "iterations", "runs_per_job", "templates", "tasks", "image_size"}
    training = study.clip.model_dump(exclude=apart, exclude_defaults=True)
    return _training_settings(study, source, group) | {"training": training}
