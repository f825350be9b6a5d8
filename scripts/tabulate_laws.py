"""Every fitted law of the study: exponent k with two intervals, scale, fit, and which law the curve
follows over all its sizes.
"""

import json
import math
from pathlib import Path

import pandas as pd

from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings import tables as table_settings

NAMES = {"power": "pure", "floor": "floor", "broken": "broken"}


def ends(interval: list[float | None]) -> tuple[float, float]:
    """Ends of an interval of a file of laws; None is no bound."""
    low, high = interval
    return (-math.inf if low is None else low), (math.inf if high is None else high)


def row(law: str, evaluation: list[str], curve: dict) -> dict:
    """Return one curve of a file of laws as a row.

    floor_*: the law with a floor over the same sizes. any_law_*: ends of the interval of k over all
    laws that are not ruled out. all_*: the same over every size; `all_floor` is that of the law
    with a floor.
    """
    whole, robust = curve["all_sizes"], curve["k_interval_hc3"] or (None, None)
    k_floor = curve["k_by_law"].get("floor", {"k": None, "k_interval": [math.nan, math.nan]})
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
        "floor_k": k_floor["k"],
        **dict(zip(("floor_k_low", "floor_k_high"), ends(k_floor["k_interval"]), strict=True)),
        **dict(
            zip(("any_law_k_low", "any_law_k_high"), ends(curve["k_interval_any_law"]), strict=True)
        ),
        "not_ruled_out": " ".join(curve["not_ruled_out"]),
        "scale": curve["scale"],
        "r_squared": curve["r_squared"],
        "objective": curve["objective"],
        "warnings": "; ".join(curve["warnings"]),
        "all_law": whole["law"],
        "all_k": whole["k"],
        **dict(zip(("all_k_low", "all_k_high"), ends(whole["k_interval"]), strict=True)),
        "all_k_after": whole.get("k_after"),
        "all_floor": whole.get("floor"),
        "all_not_ruled_out": " ".join(whole["not_ruled_out"]),
        "all_reason": whole["reason"],
        "all_warnings": "; ".join(whole["warnings"]),
    }


def over_all_sizes(curve) -> str:
    """Text of one row's law over every size: names of the laws that are not ruled out, and k."""
    names = " or ".join(NAMES[law] for law in curve.all_not_ruled_out.split())
    text = f"{names}: k = {tables.interval(curve.all_k, curve.all_k_low, curve.all_k_high)}"
    if pd.notna(curve.all_floor):
        text += f", floor {tables.number(curve.all_floor)}"
    if pd.notna(curve.all_k_after):
        text += f", then {tables.number(curve.all_k_after)}"
    return text


def readable(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of one law with numbers as text."""
    intervals = {
        "k, pure law [95 %]": ["k", "k_low", "k_high"],
        "k with a floor [95 %]": ["floor_k", "floor_k_low", "floor_k_high"],
    }
    texts = pd.DataFrame({"generator": curves["generator"], "recipe": curves["recipe"]})
    texts["guidance"] = curves["guidance"].map(tables.scale)
    texts["architecture"] = curves["architecture"]
    texts["sizes"] = [
        f"{a:,} to {b:,}" for a, b in zip(curves["smallest"], curves["largest"], strict=True)
    ]
    for title, columns in intervals.items():
        texts[title] = [
            tables.interval(*values) for values in curves[columns].itertuples(index=False)
        ]
    robust = zip(curves["k_low_hc3"], curves["k_high_hc3"], strict=True)
    texts["HC3 interval"] = [
        f"[{tables.number(a)}, {tables.number(b)}]" if pd.notna(a) else "" for a, b in robust
    ]
    texts["C (images)"] = curves["scale"].map(
        lambda value: "" if pd.isna(value) else f"{value:.3g}"
    )
    texts["R²"] = curves["r_squared"].map(lambda value: tables.number(value, 3))
    texts["over all sizes"] = [over_all_sizes(curve) for curve in curves.itertuples()]
    texts["warnings"] = curves["all_warnings"]
    return texts


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        tables.arguments(__doc__, "laws"), arguments, table_settings.laws_settings
    )
    rows = []
    for path in args.laws:
        law = json.loads(Path(path).read_text(encoding="utf-8"))
        rows += [row(Path(path).stem, law["evaluation"], curve) for curve in law["curves"]]
    labels = pd.DataFrame(settings["labels"]).astype({"guidance": "Float64"})
    tidy = (
        pd.DataFrame(rows)
        .astype({"guidance": "Float64"})
        .merge(labels, on=["source", "guidance"], how="left", validate="many_to_one")
    )
    explanation = (
        "L(D) = (C / D)^k: loss L in nats, D training images, fitted by least squares of log loss on log size, one point a size (mean over seeds). "
        "Intervals: 95 %, Student's and HC3; with a floor, L(D) = E + (C / D)^k, by the profile (∞: no bound). k of the pure law is too small if there is a "
        "floor, and few sizes cannot show one: compare both columns. Over all sizes: every law that the data do not rule out, the chosen one first, "
        "with its k and an interval over all of them (how often it covers: docs/laws.md); the reason is in the csv."
    )
    parts = ["# Fitted laws", explanation]
    for law, curves in tidy.groupby("law", sort=False):
        names = settings["laws"][law]["evaluation"]
        evaluated = names[0] if len(names) == 1 else "the mean loss of " + ", ".join(names)
        parts += [f"## {law}", f"Evaluated on {evaluated}.", tables.markdown(readable(curves))]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()
