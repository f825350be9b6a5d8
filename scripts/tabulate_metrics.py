"""Every training run on some evaluation sets.

Mean and standard deviation over seeds of top-1 and cross-entropy.
"""

import pandas as pd

from synscale.analysis import metrics
from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings.tables import EvaluationTableSettings, table_settings

TITLES = {
    "supervised": "Supervised classifiers",
    "ood": "Supervised classifiers out of distribution",
    "clip": "CLIP models, zero-shot",
}
KEYS = ["evaluation", "source", "generator", "recipe", "guidance", "architecture", "size"]


def summary(table: pd.DataFrame, settings: EvaluationTableSettings) -> pd.DataFrame:
    """Return a row for each evaluation set, configuration, architecture and size.

    Parameters
    ----------
    table : DataFrame
        As `metrics.read` returns it.
    settings : EvaluationTableSettings

    Returns
    -------
    DataFrame
        `KEYS`, seeds, then mean and `_sd` of each measure: also of logit_scale, if `table` has it.

    Raises
    ------
    ValueError
        If a set has no metrics.
    """
    names = settings.evaluations
    runs = pd.concat([metrics.overall(table, name).assign(evaluation=name) for name in names])
    measures = ["top1", "cross_entropy"]
    if "logit_scale" in table:
        by_run = table.groupby(metrics.RUN, dropna=False, as_index=False)
        runs = runs.merge(by_run["logit_scale"].first(), on=metrics.RUN)
        measures.append("logit_scale")
    labels = metrics.label_table(settings.labels)
    labels["place"] = range(len(labels))
    runs = runs.merge(labels, on=["source", "guidance"], validate="many_to_one")
    runs["evaluation"] = pd.Categorical(runs["evaluation"], names)  # in the order of the study
    groups = runs.groupby(["evaluation", "place", *KEYS[1:]], dropna=False, observed=True)
    return groups.agg(**metrics.mean_and_sd(measures)).reset_index().drop(columns="place")


def curves(tidy: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of what is trained at several sizes; every row if nothing is."""
    keys = [key for key in KEYS if key != "size"]
    sizes = tidy.groupby(keys, dropna=False, observed=True)["size"].transform("nunique")
    return tidy[sizes > 1] if (sizes > 1).any() else tidy


def by_size(tidy: pd.DataFrame, measure: str, digits: int, factor: float = 1) -> str:
    """Return a Markdown table of one measure: a row for each curve, a column for each size."""
    pairs = zip(factor * tidy[measure], factor * tidy[f"{measure}_sd"], strict=True)
    cells = [tables.spread(*pair, digits) for pair in pairs]
    texts = tidy[KEYS].assign(cell=cells, guidance=tidy["guidance"].map(tables.scale))
    texts["evaluation"] = texts["evaluation"].astype(str)
    several = texts["evaluation"].nunique() > 1
    rows = [key for key in KEYS[:-1] if key != "source" and (key != "evaluation" or several)]
    cells = texts.set_index([*rows, "source", "size"])["cell"]
    wide = cells.unstack("size", sort=False).reset_index().drop(columns="source")
    sizes = sorted(texts["size"].unique())
    names = {size: f"{size:,}" for size in sizes}
    return tables.markdown(wide[[*rows, *sizes]].rename(columns=names))


def main(arguments: list[str] | None = None) -> None:
    """Write a table of metrics."""
    parser = tables.arguments(__doc__, "metrics", of=("table",))
    args, settings = cli.parse(parser, arguments, table_settings)
    tidy = summary(metrics.read(args.metrics), settings)
    names = settings.evaluations
    where = f"on {names[0]}" if len(names) == 1 else "on each evaluation set or task"
    text = (
        f"{tables.over_seeds(tidy['seeds']).capitalize()}, {where}. Columns: number of training "
        "images; for a mixture, the images of all its parts."
    )
    rows = curves(tidy)
    if len(rows) < len(tidy):
        text += " Models trained at only one size are in the csv."
    parts = [f"# {TITLES[args.table]}", text]
    parts += ["## Top-1 (%)", by_size(rows, "top1", 1, 100)]
    parts += ["## Cross-entropy (nats)", by_size(rows, "cross_entropy", 3)]
    if "logit_scale" in tidy:
        of_models = by_size(rows[rows["evaluation"] == names[0]], "logit_scale", 1)
        note = "It belongs to the model and is the same for all sets."
        parts += ["## Learned logit scale", note, of_models]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()
