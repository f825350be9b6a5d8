"""Every fitted law of the study: exponent k with two intervals, scale, fit, and which law the curve follows over all its sizes."""

import json
from pathlib import Path

import pandas as pd

from scripts.lib import command, shown_tables, tabulating


def row(law: str, evaluation: list[str], curve: dict) -> dict:
    """One curve of a file of laws as a row. all_*: the law over every size; its floor is that of the law with a floor alone."""
    whole, robust = curve["all_sizes"], curve["k_interval_hc3"] or (None, None)
    return {
        "law": law,
        "evaluation": " ".join(evaluation),
        **{key: curve[key] for key in ("source", "guidance", "architecture")},
        "smallest": curve["sizes"][0],
        "largest": curve["sizes"][-1],
        "sizes": len(curve["sizes"]),
        "seeds": curve["seeds"],
        "k": curve["k"],
        "k_low": curve["k_interval"][0],
        "k_high": curve["k_interval"][1],
        "k_low_hc3": robust[0],
        "k_high_hc3": robust[1],
        "scale": curve["scale"],
        "r_squared": curve["r_squared"],
        "objective": curve["objective"],
        "all_law": whole["law"],
        "all_k": whole["k"],
        "all_k_low": whole["k_interval"][0],
        "all_k_high": whole["k_interval"][1],
        "all_k_after": whole.get("k_after"),
        "all_floor": whole.get("floor"),
        "all_reason": whole["reason"],
    }


def readable(own: pd.DataFrame) -> pd.DataFrame:
    """One law's curves, numbers as text."""
    read = pd.DataFrame({"generator": own["generator"], "recipe": own["recipe"], "guidance": own["guidance"].map(tabulating.scale)})
    read["architecture"] = own["architecture"]
    read["sizes"] = [f"{a:,} to {b:,}" for a, b in zip(own["smallest"], own["largest"], strict=True)]
    read["k [95 %]"] = [tabulating.interval(*values) for values in own[["k", "k_low", "k_high"]].itertuples(index=False)]
    robust = zip(own["k_low_hc3"], own["k_high_hc3"], strict=True)
    read["HC3 interval"] = [f"[{tabulating.number(a)}, {tabulating.number(b)}]" if pd.notna(a) else "" for a, b in robust]
    read["C (images)"] = own["scale"].map(lambda value: "" if pd.isna(value) else f"{value:.3g}")
    read["R²"] = own["r_squared"].map(lambda value: tabulating.number(value, 3))
    read["over all sizes"] = [
        f"{r.all_law}: k = {tabulating.interval(r.all_k, r.all_k_low, r.all_k_high)}"
        + (f", floor {tabulating.number(r.all_floor)}" if pd.notna(r.all_floor) else "")
        + (f", then {tabulating.number(r.all_k_after)}" if pd.notna(r.all_k_after) else "")
        for r in own.itertuples()
    ]
    return read


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(tabulating.arguments(__doc__, "laws"), arguments, shown_tables.laws_settings)
    rows = []
    for path in args.laws:
        law = json.loads(Path(path).read_text(encoding="utf-8"))
        rows += [row(Path(path).stem, law["evaluation"], curve) for curve in law["curves"]]
    labels = pd.DataFrame(settings["labels"]).astype({"guidance": "Float64"})
    tidy = pd.DataFrame(rows).astype({"guidance": "Float64"}).merge(labels, on=["source", "guidance"], how="left", validate="many_to_one")
    said = (
        "L(D) = (C / D)^k: loss L in nats, D training images, fitted by least squares of log loss on log size, a point a size (mean over seeds). "
        "Intervals: 95 %, Student's and HC3. Over all sizes: the simplest law (pure, with a floor, broken) that no richer one beats both in AICc, by 2, "
        "and at predicting the largest sizes from the smaller ones; why it was taken is in the csv."
    )
    parts = ["# Fitted laws", said]
    for law, own in tidy.groupby("law", sort=False):
        names = settings["laws"][law]["evaluation"]
        parts += [f"## {law}", f"Evaluated on {names[0] if len(names) == 1 else 'the mean loss of ' + ', '.join(names)}.", tabulating.markdown(readable(own))]
    tabulating.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()
