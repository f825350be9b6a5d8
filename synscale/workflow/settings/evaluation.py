"""Settings of the jobs that evaluate models and score images."""

from dataclasses import asdict

from synscale.study.models import Study
from synscale.study.models.data import classified
from synscale.workflow import targets
from synscale.workflow.paths import reference_run
from synscale.workflow.runs import group_runs
from synscale.workflow.settings.generation import HubWeights, hub_weights


def _trained(study: Study, source: str, group: str) -> list[dict]:
    return [asdict(run) | {"name": run.name} for run in group_runs(study, source, group)]


def evaluation_settings(study: Study, source: str, group: str) -> dict:
    """`evaluation`: the sets, in the order of their tars. `masked`: any of them may lack some of
    the study's classes.
    """
    masked = {"masked": True} if study.data.kind == "files" else {}
    return {"runs": _trained(study, source, group), "evaluation": classified(study.data)} | masked


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


def reference_settings(study: Study) -> HubWeights:
    """Which weights of others the reference has, where it is a released one."""
    own = study.scores.reference
    if own.kind == "run":
        raise targets.NotInStudy(
            f"{study.title}: scores.reference is a run of the study: nothing is fetched for it"
        )
    return hub_weights(own, "classifier")


def score_settings(study: Study, source: str) -> dict:
    """`reference`: name of the run, or the settings of a released model."""
    row, run = study.sources[source], reference_run(study)
    scales = list(row.images) if row.kind == "synthetic" else [None]
    images = study.scores.images if scales != [None] else None
    return {
        "source": source,
        "guidance": scales,
        "images": images,
        "reference": run.name
        if run
        else study.scores.reference.model_dump(include={"model", "revision"}),
    }
