"""Every training run on some evaluation sets: mean and standard deviation over seeds of top-1 and
cross-entropy.
"""

import pandas as pd

from synscale.analysis import metrics
from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings import tables as table_settings

TITLES = {
    "supervised": "Supervised classifiers",
    "ood": "Supervised classifiers out of distribution",
    "clip": "CLIP models, zero-shot",
}
KEYS = ["evaluation", "source", "generator", "recipe", "guidance", "architecture", "size"]


def summary(table: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """A row for each evaluation and configuration, architecture and size (KEYS): seeds, then mean
    and `_sd` of each measure.

    table: `metrics.read`; settings: shown_tables.table_settings. A column logit_scale is kept.
    Raises ValueError where a set has no metrics.
    """
    parts = []
    for name in settings["evaluations"]:
        parts.append(metrics.overall(table, name).assign(evaluation=name))
    found = pd.concat(parts)
    measures = ["top1", "cross_entropy"]
    if "logit_scale" in table:
        found = found.merge(
            table.groupby(metrics.RUN, dropna=False, as_index=False)["logit_scale"].first(),
            on=metrics.RUN,
        )
        measures.append("logit_scale")
    labels = (
        pd.DataFrame(settings["labels"])
        .astype({"guidance": "Float64"})
        .assign(place=range(len(settings["labels"])))
    )
    found = found.merge(labels, on=["source", "guidance"], validate="many_to_one")
    found["evaluation"] = pd.Categorical(
        found["evaluation"], settings["evaluations"]
    )  # in the order of the study
    groups = found.groupby(["evaluation", "place", *KEYS[1:]], dropna=False, observed=True)
    wide = groups.agg(
        seeds=("seed", "nunique"),
        **{f"{m}{end}": (m, how) for m in measures for end, how in (("", "mean"), ("_sd", "std"))},
    )
    return wide.reset_index().drop(columns="place")


def curves(tidy: pd.DataFrame) -> pd.DataFrame:
    """Rows of what is trained at several sizes; every row where nothing is."""
    several = (
        tidy.groupby([key for key in KEYS if key != "size"], dropna=False, observed=True)[
            "size"
        ].transform("nunique")
        > 1
    )
    return tidy[several] if several.any() else tidy


def by_size(tidy: pd.DataFrame, measure: str, digits: int, factor: float = 1) -> str:
    """A Markdown table of one measure: a row for each curve, a column for each size."""
    cells = [
        tables.spread(factor * mean, factor * sd, digits)
        for mean, sd in zip(tidy[measure], tidy[f"{measure}_sd"], strict=True)
    ]
    named = tidy[KEYS].assign(cell=cells, guidance=tidy["guidance"].map(tables.scale))
    named["evaluation"] = named["evaluation"].astype(str)
    rows = [
        key
        for key in KEYS
        if key not in ("size", "source") and (key != "evaluation" or named[key].nunique() > 1)
    ]
    sizes = sorted(named["size"].unique())
    wide = (
        named.set_index([*rows, "source", "size"])["cell"]
        .unstack("size", sort=False)
        .reset_index()
        .drop(columns="source")
    )
    return tables.markdown(
        wide[[*rows, *sizes]].rename(columns={size: f"{size:,}" for size in sizes})
    )


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        tables.arguments(__doc__, "metrics", of=("table",)),
        arguments,
        table_settings.table_settings,
    )
    tidy = summary(metrics.read(args.metrics), settings)
    where = (
        f"on {settings['evaluations'][0]}"
        if len(settings["evaluations"]) == 1
        else "on each evaluation set or task"
    )
    said = f"{tables.over_seeds(tidy['seeds']).capitalize()}, {where}. Columns: number of training images, of a mixture those of all its parts."
    read = curves(tidy)
    said += " What is trained at one size alone is in the csv." if len(read) < len(tidy) else ""
    parts = [f"# {TITLES[args.table]}", said]
    parts += [
        "## Top-1 (%)",
        by_size(read, "top1", 1, 100),
        "## Cross-entropy (nats)",
        by_size(read, "cross_entropy", 3),
    ]
    if "logit_scale" in tidy:
        one = read[read["evaluation"] == settings["evaluations"][0]]
        parts += [
            "## Learned logit scale",
            "The same for all sets: it is the model's.",
            by_size(one, "logit_scale", 1),
        ]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()
