"""The table of laws: tidy rows, and numbers as text."""

import math

import pandas as pd

from synscale.report import tables

NAMES = {"power": "pure", "floor": "floor", "broken": "broken"}
INTERVALS = {
    "k, pure law [95 %]": ["k", "k_low", "k_high"],
    "k with a floor [95 %]": ["floor_k", "floor_k_low", "floor_k_high"],
}


def _ends(name: str, interval: list[float | None]) -> dict[str, float]:
    """Return the columns of an interval of a file of laws, in which None is no bound."""
    low, high = interval
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return {f"{name}_low": low, f"{name}_high": high}


def row(law: str, evaluation: list[str], curve: dict) -> dict:
    """Return one curve of a file of laws as a row.

    floor_*: the law with a floor over the same sizes. any_law_*: ends of the interval of k over all
    laws that are not ruled out. all_*: the same over every size; `all_floor` is that of the law
    with a floor.

    Parameters
    ----------
    law : str
    evaluation : list of str
        Evaluation sets.
    curve : dict
        Entry of a file of laws.
    """
    all_sizes = curve["all_sizes"]
    robust = curve["k_interval_hc3"] or (None, None)
    floor = curve["k_by_law"].get("floor", {"k": None, "k_interval": [math.nan, math.nan]})
    return {
        "law": law,
        "evaluation": " ".join(evaluation),
        **{key: curve[key] for key in ("source", "guidance", "architecture")},
        "smallest": curve["sizes"][0],
        "largest": curve["sizes"][-1],
        "sizes": len(curve["sizes"]),
        "seeds": curve["seeds"],
        "k": curve["k"],
        **dict(zip(("k_low", "k_high"), curve["k_interval"], strict=True)),
        **dict(zip(("k_low_hc3", "k_high_hc3"), robust, strict=True)),
        "floor_k": floor["k"],
        **_ends("floor_k", floor["k_interval"]),
        **_ends("any_law_k", curve["k_interval_any_law"]),
        "not_ruled_out": " ".join(curve["not_ruled_out"]),
        **{key: curve[key] for key in ("scale", "r_squared", "objective")},
        "warnings": "; ".join(curve["warnings"]),
        "all_law": all_sizes["law"],
        "all_k": all_sizes["k"],
        **_ends("all_k", all_sizes["k_interval"]),
        "all_k_after": all_sizes.get("k_after"),
        "all_floor": all_sizes.get("floor"),
        "all_not_ruled_out": " ".join(all_sizes["not_ruled_out"]),
        "all_reason": all_sizes["reason"],
        "all_warnings": "; ".join(all_sizes["warnings"]),
    }


def _over_all_sizes(curve) -> str:
    """Return one row's law over every size: the laws that are not ruled out, and k."""
    names = " or ".join(NAMES[law] for law in curve.all_not_ruled_out.split())
    text = f"{names}: k = {tables.interval(curve.all_k, curve.all_k_low, curve.all_k_high)}"
    if pd.notna(curve.all_floor):
        text += f", floor {tables.number(curve.all_floor)}"
    if pd.notna(curve.all_k_after):
        text += f", then {tables.number(curve.all_k_after)}"
    return text


def readable(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of one law with numbers as text."""
    texts = pd.DataFrame({"generator": curves["generator"], "recipe": curves["recipe"]})
    texts["guidance"] = curves["guidance"].map(tables.scale)
    texts["architecture"] = curves["architecture"]
    ranges = zip(curves["smallest"], curves["largest"], strict=True)
    texts["sizes"] = [f"{smallest:,} to {largest:,}" for smallest, largest in ranges]
    for title, columns in INTERVALS.items():
        rows = curves[columns].itertuples(index=False)
        texts[title] = [tables.interval(*values) for values in rows]
    robust = curves[["k_low_hc3", "k_high_hc3"]].map(tables.number)
    pairs = robust.itertuples(index=False)
    texts["HC3 interval"] = [f"[{low}, {high}]" if low else "" for low, high in pairs]
    texts["C (images)"] = curves["scale"].map(lambda c: "" if pd.isna(c) else f"{c:.3g}")
    texts["R²"] = curves["r_squared"].map(lambda value: tables.number(value, 3))
    texts["over all sizes"] = [_over_all_sizes(curve) for curve in curves.itertuples()]
    texts["still falling"] = curves["still_falling"]
    texts["warnings"] = curves["all_warnings"]
    return texts
