"""Every configuration (generator, prompt recipe, guidance scale): what the scores say of its
images, and what they are worth to train on.
"""

import json
from pathlib import Path

import pandas as pd

from synscale.analysis import metrics
from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings import tables as table_settings

SCORES = ["recognizability", "diversity", "diversity_total", "fid", "lpips", "precision", "recall"]
KEYS = ["source", "guidance"]


def scores(paths: list[str]) -> pd.DataFrame:
    """A row for each source and guidance scale: images (that were scored) and every score."""
    entries = [
        entry for path in paths for entry in json.loads(Path(path).read_text(encoding="utf-8"))
    ]
    return pd.DataFrame(entries)[[*KEYS, "images", *SCORES]].astype(
        {"guidance": "Float64"} | dict.fromkeys(SCORES, float)
    )


def usefulness(table: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Mean and standard deviation over seeds, at the largest size of the experiment, a row for each
    configuration and evaluation set.

    table: `metrics.read`; settings: shown_tables.configurations_settings.
    """
    parts = []
    for name in settings["evaluations"]:
        own = metrics.of_experiments(metrics.overall(table, name), settings["experiments"])
        own = own[
            (own["architecture"] == settings["architecture"]) & (own["size"] == own["size"].max())
        ]
        wide = own.groupby([*KEYS, "architecture", "size"], dropna=False, sort=False).agg(
            seeds=("seed", "nunique"),
            top1=("top1", "mean"),
            top1_sd=("top1", "std"),
            cross_entropy=("cross_entropy", "mean"),
            cross_entropy_sd=("cross_entropy", "std"),
        )
        parts.append(wide.reset_index().assign(evaluation=name))
    return pd.concat(parts)


def readable(tidy: pd.DataFrame, evaluations: list[str]) -> pd.DataFrame:
    """A row for each configuration, numbers as text; a pair of columns for each evaluation set."""
    first = tidy[tidy["evaluation"] == evaluations[0]]
    read = pd.DataFrame(
        {
            "generator": first["generator"],
            "recipe": first["recipe"],
            "guidance": first["guidance"].map(tables.scale),
        }
    )
    read["images"] = first["images"]
    for score in SCORES:
        read[score.upper() if score in ("fid", "lpips") else score.replace("_", ", ")] = first[
            score
        ].map(lambda v, s=score: tables.number(v, 3))
    for name in evaluations:
        own = (
            tidy[tidy["evaluation"] == name]
            .set_index(KEYS)
            .loc[pd.MultiIndex.from_frame(first[KEYS])]
        )
        told = "" if len(evaluations) == 1 else f", {name}"
        read[f"top-1 (%){told}"] = [
            tables.spread(100 * m, 100 * s, 1)
            for m, s in zip(own["top1"], own["top1_sd"], strict=True)
        ]
        read[f"cross-entropy{told}"] = [
            tables.spread(m, s, 3)
            for m, s in zip(own["cross_entropy"], own["cross_entropy_sd"], strict=True)
        ]
    return read


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        tables.arguments(__doc__, "scores", "metrics"),
        arguments,
        table_settings.configurations_settings,
    )
    labels = pd.DataFrame(settings["labels"]).astype({"guidance": "Float64"})
    useful = usefulness(metrics.read(args.metrics), settings)
    tidy = labels.merge(scores(args.scores), on=KEYS, validate="one_to_one").merge(
        useful, on=KEYS, validate="one_to_many"
    )
    said = (
        f"Scores of the first images of each configuration; then top-1 and cross-entropy of {settings['architecture']} trained on "
        f"{useful['size'].iloc[0]:,} of them, tested on {', '.join(settings['evaluations'])}: "
        f"{tables.over_seeds(useful['seeds'])}. Recognizability: mean F1 of a classifier trained on real images. Diversity: within-class standard "
        "deviation of its features, mean over them, or total. Scores of real are of the evaluation set: FID, precision and recall compare with it, so "
        "real has none. LPIPS: mean distance between images of a class."
    )
    tables.write(
        tidy,
        ["# Configurations", said, tables.markdown(readable(tidy, settings["evaluations"]))],
        args.output,
    )


if __name__ == "__main__":
    main()
