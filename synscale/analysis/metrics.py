"""The tidy table of metrics: a row for each run, evaluation set or task, and class; class_id is
missing in the rows over all classes.
"""

from itertools import product

import pandas as pd

RUN = ["source", "guidance", "architecture", "size", "seed"]


def read(paths: list[str]) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, paths))


def overall(table: pd.DataFrame, evaluations: str | list[str]) -> pd.DataFrame:
    """The rows over all classes of a table of metrics on one evaluation set or task; of several,
    their mean: all count the same.

    Raises ValueError where a run has not been evaluated on one of them.
    """
    names = [evaluations] if isinstance(evaluations, str) else list(evaluations)
    if absent := set(names) - set(table["evaluation"]):
        told = (
            "; a set that holds every class has no unmasked ones"
            if any(name.endswith("_unmasked") for name in absent)
            else ""
        )
        raise ValueError(f"no metrics on {', '.join(sorted(absent))}{told}")
    chosen = table[table["class_id"].isna() & table["evaluation"].isin(names)]
    groups = chosen.groupby(RUN, dropna=False, sort=False)
    if len(names) > 1 and not (groups["evaluation"].nunique() == len(names)).all():
        raise ValueError(f"a run lacks metrics on one of {', '.join(names)}")
    return groups[["top1", "cross_entropy"]].mean().reset_index()


def of_experiments(table: pd.DataFrame, experiments: list[dict]) -> pd.DataFrame:
    """The rows of every run of these experiments (curves, architectures, sizes, seeds).

    Raises ValueError where one is missing: a gap must not pass for a result.
    """
    rows = [
        (source, guidance, *rest)
        for experiment in experiments
        for (source, guidance), *rest in product(
            experiment["curves"],
            experiment["architectures"],
            experiment["sizes"],
            experiment["seeds"],
        )
    ]
    runs = pd.DataFrame(rows, columns=RUN).astype({"guidance": "Float64"}).drop_duplicates()
    found = runs.merge(table, on=RUN, how="left", validate="one_to_one")
    missing = found[found["cross_entropy"].isna()]
    if len(missing):
        raise ValueError(
            f"{len(missing)} runs have no metrics, the first: {missing[RUN].iloc[0].to_dict()}"
        )
    return found


def of_files(
    paths: list[str], evaluations: str | list[str], experiments: list[dict]
) -> pd.DataFrame:
    """`overall` of every run of these experiments, from files of metrics."""
    return of_experiments(overall(read(paths), evaluations), experiments)


def of_curve(
    table: pd.DataFrame, source: str, guidance: float | None, architecture: str
) -> pd.DataFrame:
    same = (
        table["guidance"].isna()
        if guidance is None
        else (table["guidance"] == guidance).fillna(False)
    )
    return table[(table["source"] == source) & same & (table["architecture"] == architecture)]
