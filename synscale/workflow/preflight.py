"""Before the first job: whether every data set that a job is about to read is there and is what the
study takes it for.
"""

from synscale.data import datasets
from synscale.study.models import Study
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import classes_file, images_needed


def splits_of(dag) -> dict[tuple[str, str], bool]:
    """(study, split) of the data sets in files that jobs of a Snakemake DAG are about to read, and
    whether their index is to be made.
    """
    waiting = [job for job in dag.needrun_jobs() if job.rule.name in ("index_data", "prepare_data")]
    found: dict[tuple[str, str], bool] = {}
    for job in waiting:
        split = (job.wildcards.study, job.wildcards.split)
        found[split] = found.get(split, False) or job.rule.name == "index_data"
    return found


def faults(studies: dict[str, Study], splits: dict[tuple[str, str], bool]) -> list[str]:
    """A data set is looked into where its index is to be made; later on it need only be there
    still.
    """
    told = []
    for (name, split), whole in splits.items():
        study = studies[name]
        if study.data.kind != "files":
            continue
        settings = index_settings(study, split)
        data = datasets.of_split(
            split, classes_file(study, split), settings, images_needed(study, split) or None
        )
        try:
            if whole:
                datasets.check(data)
            else:
                _ = data.place
        except datasets.DataSetError as error:
            told.append(f"studies/{name}.yaml: {error}")
    return told


def guard(dag, studies: dict[str, Study]) -> None:
    """Raises WorkflowError with every fault of every data set that is about to be read."""
    from snakemake.exceptions import WorkflowError

    told = faults(studies, splits_of(dag))
    if told:
        raise WorkflowError("\n".join(told))
