"""Every published number beside this study's, where there is one of the same kind: exponents of the same comparison.

An exponent depends on the task, so the two need not be equal. What compares better is how each relates to the real one's.
"""

import json
from pathlib import Path

import pandas as pd

from scripts.lib import command, pages, shown_tables, tabulating

KINDS = {
    "paper": "The paper and its repository",
    "quoted": "The paper, as others quote it",
    "reevaluation": "The paper's released checkpoints, evaluated by others",
    "derived": "Computed from those",
    "context": "Not the paper: for comparison",
}
KEYS = ["source", "guidance", "architecture"]
OURS = ["our_law", "our_evaluation", "our_source", "our_guidance", "our_architecture", "our_k", "our_k_low", "our_k_high"]


def counterpart(own: dict, evaluation: list[str], fitted: dict[str, dict]) -> list:
    """This study's exponent, OURS. fitted: law -> its file. Raises SystemExit where the curve has no law."""
    key = [own[name] for name in KEYS]
    for curve in fitted[own["law"]]["curves"]:
        if [curve[name] for name in KEYS] == key:
            return [own["law"], " ".join(evaluation), *key, curve["k"], *curve["k_interval"]]
    raise SystemExit(f"laws.{own['law']} has no curve {key}")


def shares(table: pd.DataFrame, value: str) -> list[str]:
    """Each number over that of real images in its group, percent: same item and x, and the same panel (what stands before " / ")."""
    panel, curve = (table["series"].str.rpartition(" / ")[i] for i in (0, 2))
    groups = pd.MultiIndex.from_arrays([table["item"], panel, table["x"]])
    real = pd.Series(table[value].to_numpy(), groups)[(curve == "Real").to_numpy()]
    found = 100 * table[value].to_numpy() / real.reindex(groups).to_numpy()
    return [f"{tabulating.number(share, 0)} %" if pd.notna(share) else "" for share in found]


def beside(numbers: pd.DataFrame, settings: dict, fitted: dict[str, dict]) -> pd.DataFrame:
    """The published numbers, every one, with columns OURS. numbers: data/paper_numbers.csv as texts. Raises SystemExit for an unknown id."""
    if unknown := [name for name in settings["counterparts"] if name not in set(numbers["id"])]:
        raise SystemExit(f"tables.versus_paper.counterparts: not in the published numbers: {', '.join(unknown)}")
    rows = [[name, *counterpart(own, settings["evaluations"][own["law"]], fitted)] for name, own in settings["counterparts"].items()]
    ours = pd.DataFrame(rows, columns=["id", *OURS]).astype({"id": numbers["id"].dtype, "our_guidance": "Float64", "our_k": float})
    return numbers.merge(ours, on="id", how="left", validate="one_to_one")


def side_by_side(table: pd.DataFrame, labels: list[dict]) -> str:
    """Markdown: the numbers that have a counterpart."""
    own = table[table["our_k"].notna()].copy()
    own["published"] = pd.to_numeric(own["value"])
    names = {row["source"]: "real" if row["generator"] == "real" else f"{row['generator']}, {row['recipe']}" for row in labels}
    read = pd.DataFrame({"published": own["item"] + ": " + own["series"], "on": own["x"], "paper's k": own["published"].map(lambda v: tabulating.number(v, 3))})
    read["of its real k"] = shares(own, "published")
    scales = own["our_guidance"].map(lambda g: "" if pd.isna(g) else f", guidance {g:g}")
    read["this study"] = own["our_source"].map(names) + scales
    read["on "] = [name if " " not in name else f"mean of {len(name.split())} sets and tasks" for name in own["our_evaluation"]]
    read["our k [95 %]"] = [tabulating.interval(*ends) for ends in own[["our_k", "our_k_low", "our_k_high"]].itertuples(index=False)]
    read["of our real k"] = shares(own, "our_k")
    return tabulating.markdown(read)


def other_numbers(table: pd.DataFrame) -> list[str]:
    """Markdown: the numbers without a counterpart, by kind, their sources numbered and listed at the end."""
    own = table[table["our_k"].isna()]
    sources = {source: place for place, source in enumerate(own["source"].drop_duplicates(), 1)}
    parts = ["## Other published numbers", "This study has none of the same kind. In brackets the source, listed below."]
    for kind, title in KINDS.items():
        chosen = own[own["kind"] == kind]
        if chosen.empty:
            continue
        x = [f"{name}: {int(x):,}" if x.isdigit() else f"{name}: {x}" if name else "" for name, x in zip(chosen["x_name"], chosen["x"], strict=True)]
        read = pd.DataFrame({"series": chosen["series"], "at": x, "measure": chosen["metric"]})
        read["value"] = [f"{int(value):,}" if value.isdigit() else value for value in chosen["value"]]
        read["source"], read["confidence"] = [f"[{sources[source]}]" for source in chosen["source"]], chosen["confidence"]
        parts += [f"### {title}", tabulating.markdown(read)]
    return [*parts, "### Sources", "\n".join(f"{place}. {pages.literal(source)}" for source, place in sources.items())]


def main(arguments: list[str] | None = None) -> None:
    parser = tabulating.arguments(__doc__, "laws")
    parser.add_argument("--numbers", required=True, help="CSV of published numbers: data/paper_numbers.csv")
    args, settings = command.parse(parser, arguments, shown_tables.versus_settings)

    fitted = {Path(path).stem: json.loads(Path(path).read_text(encoding="utf-8")) for path in args.laws}
    tidy = beside(pd.read_csv(args.numbers, dtype=str, keep_default_na=False), settings, fitted)
    parts = ["# This study beside the paper"]
    if settings["counterparts"]:
        parts.append(
            "Scaling exponents k of the same comparisons. They depend on the task, so the two need not be equal; what compares better is each one as a share "
            "of the exponent of real images. The paper's are read off the bars of the teaser in its repository, which is remembered to be Figure 1."
        )
        parts.append(side_by_side(tidy, settings["labels"]))
    tabulating.write(tidy, parts + other_numbers(tidy), args.output)


if __name__ == "__main__":
    main()
