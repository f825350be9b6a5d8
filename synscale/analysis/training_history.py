"""What histories of trainings show: whether the held-out loss had stopped falling at the end.

A training that was stopped early makes its loss, and every law through it, too high.
"""

import pandas as pd

from synscale.workflow.runs import Run

LAST = 0.2  # part of a training in which the loss may hardly fall; this and the next are our choice
MOST_FALL = 0.02  # relative fall of the held-out loss in that part
TIMES = ["images_per_second", "gpu_memory_mb"]  # columns that differ from run to run
RUN = ["source", "run"]
SERIES = ["source", "guidance", "architecture"]


def read(files: list[str], runs: list[Run]) -> pd.DataFrame:
    """Return the histories of some runs.

    Parameters
    ----------
    files : list of str
        CSVs of jobs, which may have other runs too.
    runs : list of Run

    Returns
    -------
    DataFrame
        A row for each recorded step: the columns of the files, and guidance, architecture, size and
        seed.

    Raises
    ------
    SystemExit
        If a run has no history.
    """
    rows = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    known = pd.DataFrame(
        [(r.source, r.name, r.guidance, r.architecture, r.size, r.seed) for r in runs],
        columns=[*RUN, "guidance", "architecture", "size", "seed"],
    )
    table = known.merge(rows, on=RUN, how="left", validate="one_to_many")
    if table["iteration"].isna().any():
        source, run = table.loc[table["iteration"].isna(), RUN].iloc[0]
        raise SystemExit(f"{source} {run}: no history in {len(files)} files; train it again")
    return table.astype({"iteration": int})


def ends(table: pd.DataFrame) -> pd.DataFrame:
    """Return how each run of `read` ended.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    DataFrame
        A row for each run with a held-out loss. iteration, held_out_loss: the last ones. fall: the
        part of the held-out loss that was lost in the last `LAST` of the steps. is_plateau: whether
        it is at most `MOST_FALL`.
    """
    points = table.dropna(subset="held_out_loss").sort_values("iteration")
    keys = [*RUN, *SERIES[1:], "size", "seed"]
    rows = []
    for values, run in points.groupby(keys, dropna=False, sort=False):
        last = run.iloc[-1]
        before = run[run["iteration"] <= (1 - LAST) * last["iteration"]]
        earlier = before["held_out_loss"].iloc[-1] if len(before) else float("nan")
        fall = 1 - last["held_out_loss"] / earlier
        rows.append([*values, last["iteration"], last["held_out_loss"], fall, fall <= MOST_FALL])
    return pd.DataFrame(rows, columns=[*keys, "iteration", "held_out_loss", "fall", "is_plateau"])


def unfinished(ended: pd.DataFrame, curves: pd.DataFrame) -> pd.Series:
    """Return how many runs of each curve had not reached a plateau, such as `3 of 24`.

    Parameters
    ----------
    ended : DataFrame
        As of `ends`.
    curves : DataFrame
        source, guidance, architecture, smallest and largest of each curve.

    Returns
    -------
    Series of str
        Empty if no run of the curve has a held-out loss.
    """
    texts = []
    for curve in curves.itertuples():
        same = (
            pd.isna(ended["guidance"])
            if pd.isna(curve.guidance)
            else (ended["guidance"] == curve.guidance)
        )
        runs = ended[
            same
            & (ended["source"] == curve.source)
            & (ended["architecture"] == curve.architecture)
            & ended["size"].between(curve.smallest, curve.largest)
        ]
        count = int((~runs["is_plateau"].astype(bool)).sum())
        texts.append(f"{count} of {len(runs)}" if len(runs) else "")
    return pd.Series(texts, index=curves.index)
