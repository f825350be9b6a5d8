"""The tidy table of metrics: a row for each run, evaluation set and class; class_id is missing in the rows over all classes."""

from itertools import product

import pandas as pd

RUN = ["source", "guidance", "architecture", "size", "seed"]


def overall(paths: list[str], evaluation: str) -> pd.DataFrame:
    """The rows over all classes on one evaluation set, of every file of `evaluate`."""
    table = pd.concat(map(pd.read_parquet, paths))
    return table[table["class_id"].isna() & (table["evaluation"] == evaluation)].drop(columns=["class_id", "evaluation"])


def of_experiments(table: pd.DataFrame, experiments: list[dict]) -> pd.DataFrame:
    """The rows of every run of these experiments (curves, architectures, sizes, seeds).

    Raises ValueError where one is missing: a gap must not pass for a result.
    """
    rows = [
        (source, guidance, *rest)
        for experiment in experiments
        for (source, guidance), *rest in product(experiment["curves"], experiment["architectures"], experiment["sizes"], experiment["seeds"])
    ]
    runs = pd.DataFrame(rows, columns=RUN).astype({"guidance": "Float64"}).drop_duplicates()
    found = runs.merge(table, on=RUN, how="left", validate="one_to_one")
    missing = found[found["cross_entropy"].isna()]
    if len(missing):
        raise ValueError(f"{len(missing)} runs have no metrics, the first: {missing[RUN].iloc[0].to_dict()}")
    return found


def of_curve(table: pd.DataFrame, source: str, guidance: float | None, architecture: str) -> pd.DataFrame:
    same = table["guidance"].isna() if guidance is None else (table["guidance"] == guidance).fillna(False)
    return table[(table["source"] == source) & same & (table["architecture"] == architecture)]
