"""Fit the scaling law of the study to each curve: a source at a guidance scale with an architecture."""

import pandas as pd

from scripts.lib import command, jobs, laws, metrics
from scripts.lib.files import write_json


def fit(table: pd.DataFrame, sizes: tuple[int, int]) -> list[dict]:
    """One entry for each curve of the table of overall metrics: the pure law over `sizes` (smallest and largest), and, as `all_sizes`,
    which law the curve follows over every size that was trained."""
    entries = []
    for (source, guidance, architecture), curve in table.groupby(["source", "guidance", "architecture"], dropna=False, sort=False):
        inside = curve[curve["size"].between(*sizes)]
        choice = laws.choose(curve["size"], curve["cross_entropy"])
        entries.append(
            {
                "source": source,
                "guidance": None if pd.isna(guidance) else float(guidance),
                "architecture": architecture,
                "sizes": sorted(int(size) for size in inside["size"].unique()),
                "seeds": int(curve["seed"].nunique()),
                **laws.fit("power", inside["size"], inside["cross_entropy"]).as_json(),
                "all_sizes": choice.fit.as_json() | {"reason": choice.reason},
            }
        )
    return entries


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "law")
    parser.add_argument("--metrics", required=True, nargs="+", help="parquet files of `evaluate` or `evaluate_clips`")
    parser.add_argument("--output", required=True)
    args, settings = command.parse(parser, arguments, jobs.law_settings)

    table = metrics.of_files(args.metrics, settings["evaluation"], settings["experiments"])
    write_json(args.output, {"evaluation": settings["evaluation"], "interval": 0.95, "curves": fit(table, settings["sizes"])})


if __name__ == "__main__":
    main()
