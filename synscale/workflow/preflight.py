"""Checks of data sets before the first job: each must exist and have the content of the study."""

from snakemake.exceptions import WorkflowError

from synscale.data import datasets
from synscale.study.models import Study
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import classes_file, images_needed, is_in_files


def splits_to_read(dag) -> dict[tuple[str, str], bool]:
    """Return the data sets that jobs are about to read.

    Parameters
    ----------
    dag : snakemake.dag.DAG

    Returns
    -------
    dict of (str, str) to bool
        Study and split -> whether a job indexes the split.
    """
    splits: dict[tuple[str, str], bool] = {}
    for job in dag.needrun_jobs():
        if job.rule.name in ("index_data", "prepare_data"):
            split = (job.wildcards.study, job.wildcards.split)
            splits[split] = splits.get(split, False) or job.rule.name == "index_data"
    return splits


def data_set_problems(studies: dict[str, Study], splits: dict[tuple[str, str], bool]) -> list[str]:
    """Return a message for every data set that cannot be read.

    The files of a data set are checked before it is indexed. Later it only has to exist.

    Parameters
    ----------
    studies : dict of str to Study
        The studies by name.
    splits : dict of (str, str) to bool
        As `splits_to_read` returns them.
    """
    problems = []
    for (name, split), is_indexed in splits.items():
        study = studies[name]
        if not is_in_files(study, split):
            continue
        settings = index_settings(study, split)
        classes = classes_file(study, split)
        data = datasets.of_split(split, classes, settings, images_needed(study, split) or None)
        try:
            if is_indexed:
                datasets.check(data)
            else:
                _ = data.place
        except datasets.DataSetError as error:
            problems.append(f"studies/{name}.yaml: {error}")
    return problems


def check_data_sets(dag, studies: dict[str, Study]) -> None:
    """Raise WorkflowError with every problem of every data set that is about to be read.

    Parameters
    ----------
    dag : snakemake.dag.DAG
    studies : dict of str to Study
        The studies by name.
    """
    if problems := data_set_problems(studies, splits_to_read(dag)):
        raise WorkflowError("\n".join(problems))
