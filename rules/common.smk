# What all rules share: the studies, read and checked before any job is planned, and the names that
# wildcards may take.

import gc
import inspect
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod, ExecMode

# Environment modules set PYTHONPATH to packages of another Python, which must not shadow this
# one's.
FOREIGN = {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)}
sys.path[:] = [workflow.basedir, *(path for path in sys.path if path not in FOREIGN)]
from synscale.report import captions
from synscale.runtime import environment
from synscale.study import overrides
from synscale.study.load import StudyError
from synscale.study.models.data import classified
from synscale.workflow.settings import figures as figure_settings
from synscale.workflow.settings import tables as table_settings
from synscale.workflow import finished_shards, hooks, targets
from synscale.workflow.code_inputs import code_of
from synscale.workflow.paths import (
    evaluation_file,
    image_files,
    index_before,
    indexed_tars,
    metric_files,
    reference_folder,
    training_indexes,
)
from synscale.workflow.settings import digest

try:
    environment.check(config)
    environment.prepare(config.get("paths"))
    CONTAINER = environment.container(
        config, DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
    )
except ValueError as error:
    raise WorkflowError(str(error)) from None
gc.set_threshold(
    1_000_000
)  # a plan is objects that all live to its end: to look for garbage among them took a quarter of the time


def load_studies():
    """Every study of studies/, by name. All their faults are told at once, before any job starts."""
    studies, faults = {}, []
    try:
        changes = overrides.read(config.get("override"))
    except StudyError as error:
        raise WorkflowError(str(error)) from None
    for path in sorted(Path("studies").glob("*.yaml")):
        try:
            studies[path.stem] = overrides.load(path, changes)
        except StudyError as error:
            faults.append(str(error))
    if config["study"] not in studies and not faults:
        faults.append(
            f"config.yaml: study = {config['study']!r}: no studies/{config['study']}.yaml; known: {', '.join(studies) or 'none'}"
        )
    if faults:
        raise WorkflowError("\n".join(faults))
    return studies


STUDIES = load_studies()
config["facts"] = captions.CaptionFacts(
    STUDIES
)  # for report/*.rst; in no rule's params, so that no caption makes a job run again
FIGURES = figure_settings.names_of(STUDIES[config["study"]].figures)
TABLES = figure_settings.names_of(STUDIES[config["study"]].tables)

# Lists that no rule makes, for they stand for their shards. A job that was planned asks for no such
# thing any more.
FINISHED = (
    finished_shards.trusted(STUDIES)
    if config.get("skip_finished_shards") and workflow.exec_mode == ExecMode.DEFAULT
    else []
)
TO_LIST = (
    f"(?!({'|'.join(map(re.escape, FINISHED))})$)" if FINISHED else ""
) + f"({'|'.join(STUDIES)})"


wildcard_constraints:
    study="|".join(STUDIES),
    recipe=r"[a-z0-9_]+",
    generator=r"[a-z0-9_]+",
    source=r"[a-z0-9_]+",
    split=r"[a-z0-9_]+",
    shard=r"(g[0-9_e+-]+-)?\d{5}",
    group=r"[a-z0-9_.-]+",
    law=r"[a-z0-9_]+",
    released=r"[a-z0-9_]+",
    scaling=r"[a-z]+_scaling",


def study_of(wildcards):
    """Return the study of a target. Raise WorkflowError if it has no such source, recipe, generator or law."""
    try:
        targets.check(wildcards.study, STUDIES[wildcards.study], wildcards)
    except targets.NotInStudy as error:
        raise WorkflowError(str(error)) from None
    if SITE is not None and workflow.exec_mode == ExecMode.DEFAULT:
        check_hardware(wildcards.study)
    return STUDIES[wildcards.study]


def class_table(wildcards):
    return study_of(wildcards).classes


ONE = inspect.signature(study_of)


def needed(files):
    """An input function: `files(study name, study, wildcards)`. A figure or table that the study does not have is told as such."""

    def of(wildcards):
        try:
            return files(wildcards.study, study_of(wildcards), wildcards)
        except figure_settings.NotInStudy as error:
            raise WorkflowError(str(error)) from None

    of.__signature__ = ONE  # Snakemake asks for it at every call
    return of


def planned(settings, *names):
    """A `params` function: the digest of `settings(study, wildcard, ...)`. A job runs again when it changes, and only then."""
    return needed(
        lambda _, study, wildcards: digest(settings(study, *(wildcards[name] for name in names)))
    )


training_index_files = needed(
    lambda name, study, wildcards: training_indexes(study, wildcards.source, wildcards.group)
)
shard_index_before = needed(
    lambda name, study, wildcards: index_before(study, wildcards.source, wildcards.shard)
)
reference_models = needed(lambda name, study, _: reference_folder(study))
shards_to_index = needed(
    lambda name, study, wildcards: indexed_tars(study, wildcards.source, wildcards.shard)
)
evaluation_tars = needed(
    lambda name, study, _: [evaluation_file(study, own) for own in study.data.evaluation]
)


def classified_tars(wildcards):
    """Evaluation sets whose classes are the study's, which classifiers can be judged on."""
    return [
        evaluation_file(study_of(wildcards), name) for name in classified(study_of(wildcards).data)
    ]


def released_tars(wildcards):
    return (
        evaluation_tars
        if study_of(wildcards).released[wildcards.released].kind == "clip"
        else classified_tars
    )(wildcards)


def real_tars(wildcards):
    """What stands for real images in scores: an evaluation set."""
    return [evaluation_file(study_of(wildcards), study_of(wildcards).scores.evaluation)]


def scored_tars(wildcards):
    """What `score` judges of a source: its first images, or for `real` an evaluation set."""
    study = study_of(wildcards)
    if study.sources[wildcards.source].kind == "real":
        return real_tars(wildcards)
    return image_files(study, wildcards.source, study.scores.images)


def metrics_of(experiments):
    """The metrics of the experiments that `experiments(study, wildcards)` names (None: all)."""
    return needed(lambda name, study, wildcards: metric_files(study, experiments(study, wildcards)))


def metrics_of_laws(laws):
    return metrics_of(
        lambda study, wildcards: figure_settings.experiments_of_laws(study, laws(study, wildcards))
    )


def fitted(laws):
    return needed(
        lambda name, study, wildcards: [
            f"results/{name}/laws/{law}.json" for law in laws(study, wildcards)
        ]
    )


def scores_of(sources):
    return needed(
        lambda name, study, wildcards: [
            f"results/{name}/scores/{source}.json" for source in sources(study)
        ]
    )
