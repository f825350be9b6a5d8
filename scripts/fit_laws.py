"""Fit a law of the study to each curve: a source at a guidance scale with an architecture."""

import pandas as pd

from synscale.analysis import laws, metrics
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.workflow.settings.laws import law_settings


def fit(table: pd.DataFrame, sizes: tuple[int, int]) -> list[dict]:
    """Fit every curve of a table of overall metrics.

    Parameters
    ----------
    table : DataFrame
        Columns source, guidance, architecture, size, seed, cross_entropy.
    sizes : tuple of int
        Smallest and largest size of the pure law.

    Returns
    -------
    list of dict
        One entry for each curve: the pure law over `sizes`, with k under every law over the same
        sizes, and, as `all_sizes`, the law that is chosen over every size.
    """
    entries = []
    keys = ["source", "guidance", "architecture"]
    for (source, guidance, architecture), curve in table.groupby(keys, dropna=False, sort=False):
        inside = curve[curve["size"].between(*sizes)]
        choice = all_sizes = laws.choose(inside["size"], inside["cross_entropy"])
        if len(inside) < len(curve):
            all_sizes = laws.choose(curve["size"], curve["cross_entropy"])
        entries.append(
            {
                "source": source,
                "guidance": None if pd.isna(guidance) else float(guidance),
                "architecture": architecture,
                "sizes": sorted(int(size) for size in inside["size"].unique()),
                "seeds": int(curve["seed"].nunique()),
                **choice.fits["power"].as_json(),
                **choice.by_law(),
                "all_sizes": all_sizes.as_json(),
            }
        )
    return entries


def main(arguments: list[str] | None = None) -> None:
    """Fit the law and write it."""
    parser = cli.parser(__doc__, "law")
    parser.add_argument(
        "--metrics", required=True, nargs="+", help="parquet files of `evaluate` or `evaluate_clip`"
    )
    parser.add_argument("--output", required=True)
    args, settings = cli.parse(parser, arguments, law_settings)
    table = metrics.of_files(args.metrics, settings.evaluation, settings.experiments)
    curves = fit(table, settings.sizes)
    law = {"evaluation": settings.evaluation, "interval": 0.95, "curves": curves}
    write_json(args.output, law)


if __name__ == "__main__":
    main()
