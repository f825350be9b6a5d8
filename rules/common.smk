# What all rules share: the studies, read and checked before any job is planned, and the names that wildcards may take.

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)
from scripts.lib import captions, environment, jobs, shown, shown_tables, study_file

environment.prepare()

LAW_MODULES = [str(path) for path in sorted(Path("scripts/lib/laws").glob("*.py"))]
FORMATS = ["pdf", "svg", "png", "csv"]


def load_studies():
    """Every study of studies/, by name. All their faults are told at once, before any job starts."""
    studies, faults = {}, []
    for path in sorted(Path("studies").glob("*.yaml")):
        try:
            studies[path.stem] = study_file.load(path)
        except study_file.StudyError as error:
            faults.append(str(error))
    if config["study"] not in studies and not faults:
        faults.append(f"config.yaml: study = {config['study']!r}: no studies/{config['study']}.yaml; known: {', '.join(studies) or 'none'}")
    if faults:
        raise WorkflowError("\n".join(faults))
    return studies


STUDIES = load_studies()
config["facts"] = captions.Facts(STUDIES)  # for report/*.rst; in no rule's params, so that no caption makes a job run again
FIGURES = shown.names_of(STUDIES[config["study"]].figures)
TABLES = shown.names_of(STUDIES[config["study"]].tables)


wildcard_constraints:
    study="|".join(STUDIES),
    recipe=r"[a-z0-9_]+",
    generator=r"[a-z0-9_]+",
    source=r"[a-z0-9_]+",
    split=r"[a-z0-9_]+",
    block=r"\d{5}",
    batch=r"[a-z0-9_.-]+",
    law=r"[a-z0-9_]+",
    scaling=r"[a-z]+_scaling",


def study_of(wildcards):
    return STUDIES[wildcards.study]


def class_table(wildcards):
    return study_of(wildcards).classes


def needed(files):
    """An input function: `files(study name, study, wildcards)`. A figure or table that the study does not have is told as such."""

    def of(wildcards):
        try:
            return files(wildcards.study, study_of(wildcards), wildcards)
        except shown.NotInStudy as error:
            raise WorkflowError(str(error)) from None

    return of


def planned(settings, *names):
    """A `params` function: the digest of `settings(study, wildcard, ...)`. A job runs again when it changes, and only then."""
    return needed(lambda _, study, wildcards: jobs.digest(settings(study, *(wildcards[name] for name in names))))


def training_tars(wildcards):
    return jobs.training_files(wildcards.study, study_of(wildcards), wildcards.source, wildcards.batch)


def evaluation_tars(wildcards):
    return [f"results/{wildcards.study}/data/{name}.tar" for name in study_of(wildcards).data.evaluation]


def manifests(tars):
    """An input function for the manifests beside the tars of another one."""
    return lambda wildcards: [str(Path(tar).with_suffix(".parquet")) for tar in tars(wildcards)]


def gpus(wildcards):
    return study_of(wildcards).gpus


def growing(amount):
    """Memory or time of a job: so much in its first try, and as much again in each later one, for a try may have failed for want of it."""
    return lambda wildcards, attempt: attempt * (amount(wildcards) if callable(amount) else amount)


def real_tars(wildcards):
    """What stands for real images in scores: an evaluation set."""
    return [f"results/{wildcards.study}/data/{study_of(wildcards).scores.evaluation}.tar"]


def scored_tars(wildcards):
    """What `score` judges of a source: its first images, or for `real` an evaluation set."""
    study = study_of(wildcards)
    if study.sources[wildcards.source].kind == "real":
        return real_tars(wildcards)
    return jobs.image_files(wildcards.study, study, wildcards.source, study.scores.images)


def reference_models(wildcards):
    study = study_of(wildcards)
    run = jobs.reference_run(study)
    return f"results/{wildcards.study}/classifiers/{run.source}/{jobs.batch_of(study, run)}"


def metrics_of(experiments):
    """The metrics of the experiments that `experiments(study, wildcards)` names (None: all)."""
    return needed(lambda name, study, wildcards: jobs.metric_files(name, study, experiments(study, wildcards)))


def metrics_of_laws(laws):
    return metrics_of(lambda study, wildcards: shown.experiments_of_laws(study, laws(study, wildcards)))


def fitted(laws):
    return needed(lambda name, study, wildcards: [f"results/{name}/laws/{law}.json" for law in laws(study, wildcards)])


def scores_of(sources):
    return needed(lambda name, study, wildcards: [f"results/{name}/scores/{source}.json" for source in sources(study)])


def in_report(path, name, kind):
    """Flag a file for `snakemake --report`, under its section of the paper. One label: of two, the report makes a switch that hides results.

    Where the name is a wildcard, one caption serves all that it stands for: of `{scaling}`, report/scaling.rst.
    """
    return report(
        path,
        caption=f"../report/{name.strip('{}')}.rst",
        category=lambda wildcards: captions.paper_items()[name.format(**wildcards)]["section"],
        labels=lambda wildcards: {"result": captions.label(kind, name.format(**wildcards))},
    )


def figure_files(name):
    """The report shows the svg: sharp at any size."""
    return [in_report(f"figures/{{study}}/{name}.svg", name, "Figure") if f == "svg" else f"figures/{{study}}/{name}.{f}" for f in FORMATS]


def table_files(name):
    """The report shows the html: csv and md it would only offer to save."""
    return [*(f"tables/{{study}}/{name}.{format}" for format in ["csv", "md"]), in_report(f"tables/{{study}}/{name}.html", name, "Table")]
