"""Every published number beside this study's, where there is one of the same kind: an exponent, or
a top-1 or a loss at one size.

An exponent depends on the task, so the two need not be equal. What compares better is how each
relates to the real one's. A top-1 or a loss is compared with runs on as many images of each part: a
mixture of N captions, each with both images, has 2 N images here.
"""

import json
from pathlib import Path

import pandas as pd

from synscale.analysis import metrics
from synscale.report import html, tables
from synscale.runtime import cli
from synscale.study import csv_tables
from synscale.workflow.settings import tables as table_settings

KINDS = {
    "paper": "The paper and its repository",
    "quoted": "The paper, as others quote it",
    "reevaluation": "The paper's released checkpoints, evaluated by others",
    "derived": "Computed from those",
    "context": "Not the paper: for comparison",
}
KEYS = ["source", "guidance", "architecture"]
CURVE = ["our_law", "our_evaluation", "our_source", "our_guidance", "our_architecture"]
EXPONENT = ["our_k", "our_k_low", "our_k_high"]
LEVEL = ["our_size", "our_value", "our_sd", "our_seeds"]
MEASURES = {"top1": "top-1 (%)", "cross_entropy": "cross-entropy"}


def exponent(own: dict, fitted: dict[str, dict]) -> dict:
    """This study's exponent, EXPONENT. fitted: law -> its file. Raises SystemExit where the curve
    has no law.
    """
    key = [own[name] for name in KEYS]
    for curve in fitted[own["law"]]["curves"]:
        if [curve[name] for name in KEYS] == key:
            return dict(zip(EXPONENT, [curve["k"], *curve["k_interval"]], strict=True))
    raise SystemExit(f"laws.{own['law']} has no curve {key}")


def measure_of(metric: str) -> str:
    """The measure that a published top-1 or cross-entropy is of."""
    return "top1" if "top-1" in metric else "cross_entropy"


def level(own: dict, metric: str, runs: pd.DataFrame) -> dict:
    """This study's top-1 or cross-entropy over seeds, LEVEL. runs: of the experiments of the law,
    on its sets.
    """
    found = metrics.of_curve(runs, *(own[name] for name in KEYS))
    measure = measure_of(metric)
    values = found.loc[found["size"] == own["size"], measure] * (100 if measure == "top1" else 1)
    return dict(zip(LEVEL, [own["size"], values.mean(), values.std(), len(values)], strict=True))


def shares(table: pd.DataFrame, value: str) -> list[str]:
    """Each number over that of real images in its group, percent: same item and x, and the same
    panel (what stands before " / ").
    """
    panel, curve = (table["series"].str.rpartition(" / ")[i] for i in (0, 2))
    groups = pd.MultiIndex.from_arrays([table["item"], panel, table["x"]])
    real = pd.Series(table[value].to_numpy(), groups)[(curve == "Real").to_numpy()]
    found = 100 * table[value].to_numpy() / real.reindex(groups).to_numpy()
    return [f"{tables.number(share, 0)} %" if pd.notna(share) else "" for share in found]


def beside(
    numbers: pd.DataFrame,
    settings: dict,
    fitted: dict[str, dict],
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return every published number with columns CURVE, EXPONENT and LEVEL. Raises SystemExit for
    an unknown id.

    Parameters
    ----------
    numbers : DataFrame
        data/paper_numbers.csv as texts.
    settings : dict
        As `shown_tables.versus_settings` gives them.
    fitted : dict
        Law -> its file.
    table : DataFrame, optional
        As `metrics.read` gives it; needed if a counterpart has a size.
    """
    if unknown := [name for name in settings["counterparts"] if name not in set(numbers["id"])]:
        raise SystemExit(
            f"tables.versus_paper.counterparts: not in the published numbers: {', '.join(unknown)}"
        )
    evaluations, metric = settings["evaluations"], numbers.set_index("id")["metric"]
    runs = {
        law: metrics.of_experiments(metrics.overall(table, evaluations[law]), own)
        for law, own in settings["experiments"].items()
    }
    rows = []
    for name, own in settings["counterparts"].items():
        curve = dict(
            zip(
                CURVE,
                [own["law"], " ".join(evaluations[own["law"]]), *(own[key] for key in KEYS)],
                strict=True,
            )
        )
        value = (
            exponent(own, fitted)
            if own["size"] is None
            else level(own, metric[name], runs[own["law"]])
        )
        rows.append({"id": name} | curve | value)
    ours = pd.DataFrame(rows, columns=["id", *CURVE, *EXPONENT, *LEVEL])
    ours = ours.astype(
        {
            "id": numbers["id"].dtype,
            "our_guidance": "Float64",
            "our_size": "Int64",
            "our_seeds": "Int64",
        }
        | dict.fromkeys(EXPONENT, float)
    )
    return numbers.merge(ours, on="id", how="left", validate="one_to_one")


def curve_names(own: pd.DataFrame, labels: list[dict]) -> pd.Series:
    """What each row's curve is called: generator and recipe, and the guidance scale."""
    names = {
        row["source"]: "real"
        if row["generator"] == "real"
        else f"{row['generator']}, {row['recipe']}"
        for row in labels
    }
    return own["our_source"].map(names) + own["our_guidance"].map(
        lambda g: "" if pd.isna(g) else f", guidance {g:g}"
    )


def side_by_side(table: pd.DataFrame, labels: list[dict]) -> str:
    """Markdown: the exponents that have a counterpart."""
    own = table[table["our_k"].notna()].copy()
    own["published"] = pd.to_numeric(own["value"])
    read = pd.DataFrame(
        {
            "published": own["item"] + ": " + own["series"],
            "on": own["x"],
            "paper's k": own["published"].map(lambda v: tables.number(v, 3)),
        }
    )
    read["of its real k"] = shares(own, "published")
    read["this study"] = curve_names(own, labels)
    read["on "] = [
        name if " " not in name else f"mean of {len(name.split())} sets and tasks"
        for name in own["our_evaluation"]
    ]
    read["our k [95 %]"] = [
        tables.interval(*ends)
        for ends in own[["our_k", "our_k_low", "our_k_high"]].itertuples(index=False)
    ]
    read["of our real k"] = shares(own, "our_k")
    return tables.markdown(read)


def levels(table: pd.DataFrame, labels: list[dict]) -> str:
    """Markdown: each top-1 and cross-entropy that has a counterpart, at equal numbers of images of
    each part.
    """
    own = table[table["our_size"].notna()]
    read = pd.DataFrame({"published": own["item"] + ": " + own["series"]})
    read["of"] = [f"{int(x):,} {name}" for x, name in zip(own["x"], own["x_name"], strict=True)]
    read["measure"] = own["metric"].map(measure_of).map(MEASURES)
    read["paper's"] = [tables.number(value) for value in pd.to_numeric(own["value"])]
    read["this study"] = [
        f"{name}: {size:,} images"
        for name, size in zip(curve_names(own, labels), own["our_size"], strict=True)
    ]
    read["ours"] = [
        tables.spread(mean, sd) for mean, sd in zip(own["our_value"], own["our_sd"], strict=True)
    ]
    return tables.markdown(read)


def other_numbers(table: pd.DataFrame) -> list[str]:
    """Markdown: the numbers without a counterpart, by kind, their sources numbered and listed at
    the end.
    """
    own = table[table["our_source"].isna()]
    sources = {source: place for place, source in enumerate(own["source"].drop_duplicates(), 1)}
    parts = [
        "## Other published numbers",
        "This study has none of the same kind. In brackets the source, listed below.",
    ]
    for kind, title in KINDS.items():
        chosen = own[own["kind"] == kind]
        if chosen.empty:
            continue
        x = [
            f"{name}: {int(x):,}" if x.isdigit() else f"{name}: {x}" if name else ""
            for name, x in zip(chosen["x_name"], chosen["x"], strict=True)
        ]
        read = pd.DataFrame({"series": chosen["series"], "at": x, "measure": chosen["metric"]})
        read["value"] = [
            f"{int(value):,}" if value.isdigit() else value for value in chosen["value"]
        ]
        read["source"], read["confidence"] = (
            [f"[{sources[source]}]" for source in chosen["source"]],
            chosen["confidence"],
        )
        parts += [f"### {title}", tables.markdown(read)]
    return [
        *parts,
        "### Sources",
        "\n".join(f"{place}. {html.literal(source)}" for source, place in sources.items()),
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = tables.arguments(__doc__, "laws")
    parser.add_argument(
        "--metrics",
        nargs="*",
        default=[],
        help="of the runs that are set beside a published top-1 or cross-entropy",
    )
    parser.add_argument(
        "--numbers", required=True, help="CSV of published numbers: data/paper_numbers.csv"
    )
    args, settings = cli.parse(parser, arguments, table_settings.versus_settings)

    fitted = {
        Path(path).stem: json.loads(Path(path).read_text(encoding="utf-8")) for path in args.laws
    }
    table = metrics.read(args.metrics) if args.metrics else None
    tidy = beside(csv_tables.frame(args.numbers), settings, fitted, table)
    parts = ["# This study beside the paper"]
    if tidy["our_k"].notna().any():
        parts.append(
            "Scaling exponents k of the same comparisons. They depend on the task, so the two need not be equal; what compares better is each one as a share "
            "of the exponent of real images. The paper's are read off the bars of the teaser in its repository, which is remembered to be Figure 1."
        )
        parts.append(side_by_side(tidy, settings["labels"]))
    if tidy["our_size"].notna().any():
        parts += [
            "## Top-1 and cross-entropy at the same size",
            "Runs on as many images of each part as the published number is of. The released checkpoints' sizes of synthetic and real pairs together are "
            "taken as numbers of captions, each with both images, which is derived and not stated: here these are twice as many images. "
            f"Ours: {tables.over_seeds(tidy['our_seeds'].dropna())}.",
            levels(tidy, settings["labels"]),
        ]
    tables.write(tidy, parts + other_numbers(tidy), args.output)


if __name__ == "__main__":
    main()
