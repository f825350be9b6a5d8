"""Fit the scaling law of the study to each curve: a source at a guidance scale with an architecture."""

import pandas as pd

from scripts.lib import command, jobs, law, metrics
from scripts.lib.files import write_json


def fit(metrics: pd.DataFrame, sizes: tuple[int, int]) -> list[dict]:
    """One entry for each curve of the table of overall metrics; sizes: smallest and largest in the fit."""
    inside = metrics[metrics["size"].between(*sizes)]
    entries = []
    for key, curve in inside.groupby(["source", "guidance", "architecture"], dropna=False, sort=False):
        source, guidance, architecture = key
        fitted = law.fit_power_law(curve["size"], curve["cross_entropy"])
        entries.append(
            {
                "source": source,
                "guidance": None if pd.isna(guidance) else float(guidance),
                "architecture": architecture,
                "k": fitted.k,
                "k_interval": list(fitted.k_interval),
                "log_scale": fitted.log_scale,
                "r_squared": fitted.r_squared,
                "sizes": sorted(int(size) for size in curve["size"].unique()),
                "seeds": int(curve["seed"].nunique()),
            }
        )
    return entries


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "law")
    parser.add_argument("--metrics", required=True, nargs="+", help="parquet files of `evaluate`")
    parser.add_argument("--output", required=True)
    args, settings = command.parse(parser, arguments, jobs.law_settings)

    table = metrics.of_experiments(metrics.overall(args.metrics, settings["evaluation"]), settings["experiments"])
    curves = fit(table, settings["sizes"])
    write_json(args.output, {"law": "L(D) = (C / D)^k", "objective": law.OBJECTIVE, "evaluation": settings["evaluation"], "interval": 0.95, "curves": curves})


if __name__ == "__main__":
    main()
