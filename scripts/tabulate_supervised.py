"""Every run of the study as a table: mean and standard deviation over seeds of top-1 and cross-entropy."""

import pandas as pd

from scripts.lib import command, jobs, metrics
from scripts.lib.files import whole


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__)
    parser.add_argument("--metrics", required=True, nargs="+", help="parquet files of `evaluate`")
    parser.add_argument("--output", required=True, nargs=2, help="csv, md")
    args, settings = command.parse(parser, arguments, jobs.table_settings)

    table = metrics.overall(args.metrics, settings["evaluation"])
    labels = pd.DataFrame(settings["labels"])[["source", "guidance", "generator", "recipe"]].astype({"guidance": "Float64"})
    table = labels.merge(table, on=["source", "guidance"])
    keys = ["generator", "recipe", "guidance", "architecture", "size"]
    wide = table.groupby(keys, dropna=False, sort=False).agg(
        seeds=("seed", "nunique"),
        top1=("top1", "mean"),
        top1_sd=("top1", "std"),
        cross_entropy=("cross_entropy", "mean"),
        cross_entropy_sd=("cross_entropy", "std"),
    )
    wide = wide.reset_index().sort_values(["generator", "recipe", "guidance", "architecture", "size"], kind="stable")
    with whole(*args.output) as (csv, markdown):
        wide.to_csv(csv, index=False, float_format="%.4f")
        shown = wide.assign(guidance=wide["guidance"].map(lambda g: "" if pd.isna(g) else f"{g:g}"))
        markdown.write_text(shown.to_markdown(index=False, floatfmt=".3f") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
