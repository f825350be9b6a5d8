"""Every configuration (generator, prompt recipe, guidance scale): its scores and its accuracy."""

from collections.abc import Sequence

import pandas as pd

from synscale.analysis import metrics, result_files
from synscale.analysis.result_files import CONFIGURATION
from synscale.report import tables
from synscale.report.score_names import score_name
from synscale.runtime import cli
from synscale.workflow.settings.tables import ConfigurationsSettings, configurations_settings

SCORES = ["recognizability", "diversity", "diversity_total", "fid", "lpips", "precision", "recall"]
TEXT = (
    "Scores of the first images of each configuration; then top-1 and cross-entropy of "
    "{architecture} trained on {size:,} of these images and evaluated on {evaluations}: {seeds}. "
    "Recognizability: mean F1 of a classifier trained on real images. Diversity: within-class "
    "standard deviation of its features, as their mean or in total. Scores of the row `real` are "
    "those of the evaluation set. FID, precision and recall compare with this set, so `real` has "
    "none. LPIPS: mean distance between images of a class."
)
MEASURES = (
    " Other measures compare with the same set, in the feature space that is named. Memorisation: "
    "share of images nearer to a training image of their generator than 95 % of held-out images "
    "are, with a 95 % bootstrap interval."
)


def accuracy(table: pd.DataFrame, settings: ConfigurationsSettings) -> pd.DataFrame:
    """Return a row for each configuration and evaluation set at the largest size.

    Mean and standard deviation are over seeds. table: as `metrics.read` returns it.
    """
    parts = []
    for name in settings.evaluations:
        runs = metrics.of_experiments(metrics.overall(table, name), settings.experiments)
        runs = metrics.at_largest_size(runs, settings.architecture)
        groups = runs.groupby([*CONFIGURATION, "architecture", "size"], dropna=False, sort=False)
        wide = groups.agg(**metrics.mean_and_sd(["top1", "cross_entropy"]))
        parts.append(wide.reset_index().assign(evaluation=name))
    return pd.concat(parts)


def intervals(column: str) -> tuple[str, str]:
    """Return the columns with the interval of a measure; only memorisation has them."""
    measure, _, feature = column.rpartition("_")
    return f"{measure}_low_{feature}", f"{measure}_high_{feature}"


def readable(
    tidy: pd.DataFrame, evaluations: list[str], measures: Sequence[str] = ()
) -> pd.DataFrame:
    """Return a row for each configuration, numbers as text, two columns for each evaluation set.

    Parameters
    ----------
    tidy : DataFrame
        A row for each configuration and evaluation set.
    evaluations : list of str
    measures : sequence of str
        Columns of the measures in further feature spaces.
    """
    first = tidy[tidy["evaluation"] == evaluations[0]]
    texts = first[["generator", "recipe"]].assign(guidance=first["guidance"].map(tables.scale))
    texts["images"] = first["images"]
    for score in SCORES:
        title = score.upper() if score in ("fid", "lpips") else score.replace("_", ", ")
        texts[title] = [tables.number(value, 3) for value in first[score]]
    for column in measures:
        low, high = intervals(column)
        texts[score_name(column)] = [
            tables.number(row[column], 3)
            + (f" [{row[low]:.3f}, {row[high]:.3f}]" if pd.notna(row.get(low)) else "")
            for _, row in first.iterrows()
        ]
    for name in evaluations:
        rows = tidy[tidy["evaluation"] == name].set_index(CONFIGURATION)
        rows = rows.loc[pd.MultiIndex.from_frame(first[CONFIGURATION])]
        suffix = "" if len(evaluations) == 1 else f", {name}"
        top1 = zip(100 * rows["top1"], 100 * rows["top1_sd"], strict=True)
        texts[f"top-1 (%){suffix}"] = [tables.spread(*pair, 1) for pair in top1]
        losses = zip(rows["cross_entropy"], rows["cross_entropy_sd"], strict=True)
        texts[f"cross-entropy{suffix}"] = [tables.spread(*pair, 3) for pair in losses]
    return texts


def main(arguments: list[str] | None = None) -> None:
    """Write the table of configurations."""
    parser = tables.arguments(__doc__, "scores", "metrics")
    args, settings = cli.parse(parser, arguments, configurations_settings)
    scores = result_files.scores(args.scores)
    ends = [end for column in settings.measures for end in intervals(column) if end in scores]
    columns = [*SCORES, *settings.measures, *ends]
    scores = scores[[*CONFIGURATION, "images", *columns]].astype(dict.fromkeys(columns, float))
    by_seed = accuracy(metrics.read(args.metrics), settings)
    labels = metrics.label_table(settings.labels)
    tidy = labels.merge(scores, on=CONFIGURATION, validate="one_to_one")
    tidy = tidy.merge(by_seed, on=CONFIGURATION, validate="one_to_many")
    text = TEXT.format(
        architecture=settings.architecture,
        size=by_seed["size"].iloc[0],
        evaluations=", ".join(settings.evaluations),
        seeds=tables.over_seeds(by_seed["seeds"]),
    )
    if settings.measures:
        text += MEASURES
    table = tables.markdown(readable(tidy, settings.evaluations, settings.measures))
    tables.write(tidy, ["# Configurations", text, table], args.output)


if __name__ == "__main__":
    main()
