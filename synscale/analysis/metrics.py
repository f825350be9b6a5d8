"""The tidy table of metrics: a row for each run, evaluation set or task, and class.

`class_id` is missing in the rows over all classes.
"""

from itertools import product

import pandas as pd

from synscale.workflow.settings.curves import Label
from synscale.workflow.settings.laws import ExperimentSettings

RUN = ["source", "guidance", "architecture", "size", "seed"]


def read(paths: list[str]) -> pd.DataFrame:
    """Read files of metrics as one table."""
    return pd.concat(map(pd.read_parquet, paths))


def overall(table: pd.DataFrame, evaluations: str | list[str]) -> pd.DataFrame:
    """Return the metrics over all classes, as the mean over some evaluation sets.

    Parameters
    ----------
    table : DataFrame
        As `read` returns it.
    evaluations : str or list of str
        Evaluation sets or tasks, which count equally.

    Raises
    ------
    ValueError
        If a run has not been evaluated on one of them.
    """
    names = [evaluations] if isinstance(evaluations, str) else list(evaluations)
    if absent := set(names) - set(table["evaluation"]):
        is_masked = any(name.endswith("_unmasked") for name in absent)
        hint = "; a set that holds every class has no unmasked ones" if is_masked else ""
        raise ValueError(f"no metrics on {', '.join(sorted(absent))}{hint}")
    rows = table[table["class_id"].isna() & table["evaluation"].isin(names)]
    groups = rows.groupby(RUN, dropna=False, sort=False)
    if len(names) > 1 and not (groups["evaluation"].nunique() == len(names)).all():
        raise ValueError(f"a run lacks metrics on one of {', '.join(names)}")
    return groups[["top1", "cross_entropy"]].mean().reset_index()


def of_experiments(table: pd.DataFrame, experiments: list[ExperimentSettings]) -> pd.DataFrame:
    """Return the metrics of every run of some experiments.

    Parameters
    ----------
    table : DataFrame
        Metrics of runs, a row for each run and evaluation set.
    experiments : list of ExperimentSettings
        Settings of the experiments.

    Raises
    ------
    ValueError
        If a run has no metrics. A gap must not pass for a result.
    """
    rows = []
    for e in experiments:
        runs = product(e.curves, e.architectures, e.sizes, e.seeds)
        rows += [(*curve, *rest) for curve, *rest in runs]
    runs = pd.DataFrame(rows, columns=RUN).astype({"guidance": "Float64"}).drop_duplicates()
    merged = runs.merge(table, on=RUN, how="left", validate="one_to_one")
    missing = merged[merged["cross_entropy"].isna()]
    if len(missing):
        first = missing[RUN].iloc[0].to_dict()
        raise ValueError(f"{len(missing)} runs have no metrics, the first: {first}")
    return merged


def of_files(
    paths: list[str], evaluations: str | list[str], experiments: list[ExperimentSettings]
) -> pd.DataFrame:
    """Return `overall` of every run of some experiments, from files of metrics.

    Parameters
    ----------
    paths : list of str
        Files of metrics.
    evaluations : str or list of str
        Evaluation sets.
    experiments : list of ExperimentSettings
        Settings of the experiments.
    """
    return of_experiments(overall(read(paths), evaluations), experiments)


def of_curve(
    table: pd.DataFrame, source: str, guidance: float | None, architecture: str
) -> pd.DataFrame:
    """Return the rows of one curve.

    Parameters
    ----------
    table : DataFrame
        Metrics of runs.
    source : str
    guidance : float or None
    architecture : str
    """
    scales = table["guidance"]
    same = scales.isna() if guidance is None else (scales == guidance).fillna(False)
    return table[(table["source"] == source) & same & (table["architecture"] == architecture)]


def at_largest_size(table: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """Return the rows of an architecture at the largest size of the table.

    Parameters
    ----------
    table : DataFrame
        Metrics of runs.
    architecture : str
    """
    is_largest = table["size"] == table["size"].max()
    return table[(table["architecture"] == architecture) & is_largest]


def mean_and_sd(measures: list[str]) -> dict[str, tuple[str, str]]:
    """Return the aggregation over seeds: their number, then mean and `_sd` of each measure."""
    columns = {"seeds": ("seed", "nunique")}
    for measure in measures:
        columns |= {measure: (measure, "mean"), f"{measure}_sd": (measure, "std")}
    return columns


def label_table(labels: list[Label]) -> pd.DataFrame:
    """Return labels as a table: source, guidance, generator, recipe."""
    columns = ["source", "guidance", "generator", "recipe"]
    rows = [[getattr(label, column) for column in columns] for label in labels]
    return pd.DataFrame(rows, columns=columns).astype({"guidance": "Float64"})
