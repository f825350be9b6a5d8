"""Published numbers next to those of a study that are of the same kind.

The kinds are an exponent, and a top-1 or a cross-entropy at one size. An exponent depends on the
task, so the two need not be equal; what compares better is how each relates to that of real images.
A top-1 or a loss is compared with runs on as many images of each part: a mixture of N captions,
each with both images, has 2 N images here.
"""

import pandas as pd

from synscale.analysis import metrics
from synscale.report import html, tables
from synscale.study.models.figures import Counterpart
from synscale.workflow.settings.curves import Label
from synscale.workflow.settings.tables import VersusSettings

KINDS = {
    "paper": "The paper and its repository",
    "quoted": "The paper, as others quote it",
    "reevaluation": "The paper's released checkpoints, evaluated by others",
    "derived": "Computed from those",
    "context": "Not the paper: for comparison",
}
CURVE = ["our_law", "our_evaluation", "our_source", "our_guidance", "our_architecture"]
EXPONENT = ["our_k", "our_k_low", "our_k_high"]
LEVEL = ["our_size", "our_value", "our_sd", "our_seeds"]
MEASURES = {"top1": "top-1 (%)", "cross_entropy": "cross-entropy"}


def _key(counterpart: Counterpart) -> tuple[str, float | None, str]:
    return counterpart.source, counterpart.guidance, counterpart.architecture


def exponent(counterpart: Counterpart, fits: dict[str, dict[tuple, dict]]) -> dict:
    """Return the study's exponent, `EXPONENT`. Raise SystemExit if the curve has no law.

    Parameters
    ----------
    counterpart : Counterpart
    fits : dict
        As `result_files.fitted_curves` returns it.
    """
    key = _key(counterpart)
    if key not in fits[counterpart.law]:
        raise SystemExit(f"laws.{counterpart.law} has no curve {list(key)}")
    curve = fits[counterpart.law][key]
    return dict(zip(EXPONENT, [curve["k"], *curve["k_interval"]], strict=True))


def measure_of(metric: str) -> str:
    """Return the measure that a published top-1 or cross-entropy is of."""
    return "top1" if "top-1" in metric else "cross_entropy"


def level(counterpart: Counterpart, metric: str, runs: pd.DataFrame) -> dict:
    """Return the study's top-1 or cross-entropy over seeds, `LEVEL`.

    Parameters
    ----------
    counterpart : Counterpart
    metric : str
        Of the published number.
    runs : DataFrame
        Runs of the law's experiments, on its evaluation sets.
    """
    rows = metrics.of_curve(runs, *_key(counterpart))
    measure = measure_of(metric)
    factor = 100 if measure == "top1" else 1
    values = rows.loc[rows["size"] == counterpart.size, measure] * factor
    summary = [counterpart.size, values.mean(), values.std(), len(values)]
    return dict(zip(LEVEL, summary, strict=True))


def compare(
    numbers: pd.DataFrame,
    settings: VersusSettings,
    fits: dict[str, dict[tuple, dict]],
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return every published number with the study's: columns `CURVE`, `EXPONENT` and `LEVEL`.

    Parameters
    ----------
    numbers : DataFrame
        data/paper_numbers.csv as texts.
    settings : VersusSettings
    fits : dict
        As `result_files.fitted_curves` returns it.
    table : DataFrame, optional
        As `metrics.read` returns it; needed if a counterpart has a size.

    Raises
    ------
    SystemExit
        If the study names an id that is not published.
    """
    if unknown := [name for name in settings.counterparts if name not in set(numbers["id"])]:
        where = "tables.versus_paper.counterparts"
        raise SystemExit(f"{where}: not in the published numbers: {', '.join(unknown)}")
    metric = numbers.set_index("id")["metric"]
    runs = {
        law: metrics.of_experiments(metrics.overall(table, settings.evaluations[law]), experiments)
        for law, experiments in settings.experiments.items()
    }
    rows = []
    for name, counterpart in settings.counterparts.items():
        law = counterpart.law
        key = [law, " ".join(settings.evaluations[law]), *_key(counterpart)]
        if counterpart.size is None:
            value = exponent(counterpart, fits)
        else:
            value = level(counterpart, metric[name], runs[law])
        rows.append({"id": name} | dict(zip(CURVE, key, strict=True)) | value)
    dtypes = {"our_guidance": "Float64", "our_size": "Int64", "our_seeds": "Int64"}
    dtypes |= {"id": numbers["id"].dtype} | dict.fromkeys(EXPONENT, float)
    study_numbers = pd.DataFrame(rows, columns=["id", *CURVE, *EXPONENT, *LEVEL]).astype(dtypes)
    return numbers.merge(study_numbers, on="id", how="left", validate="one_to_one")


def shares(table: pd.DataFrame, value: str) -> list[str]:
    """Return each number over that of real images in its group, in percent.

    A group has the same item, x and panel (the text before " / ").

    Parameters
    ----------
    table : DataFrame
        Published and measured numbers.
    value : str
        Column of the numbers.
    """
    panel, curve = (table["series"].str.rpartition(" / ")[i] for i in (0, 2))
    groups = pd.MultiIndex.from_arrays([table["item"], panel, table["x"]])
    real = pd.Series(table[value].to_numpy(), groups)[(curve == "Real").to_numpy()]
    percent = 100 * table[value].to_numpy() / real.reindex(groups).to_numpy()
    return [f"{tables.number(share, 0)} %" if pd.notna(share) else "" for share in percent]


def curve_names(table: pd.DataFrame, labels: list[Label]) -> pd.Series:
    """Return the generator, recipe and guidance scale of each row's curve.

    Parameters
    ----------
    table : DataFrame
        Rows with source and guidance scale.
    labels : list of Label
        Labels of the curves.
    """
    names = {
        label.source: "real" if label.generator == "real" else f"{label.generator}, {label.recipe}"
        for label in labels
    }
    scales = table["our_guidance"].map(lambda g: "" if pd.isna(g) else f", guidance {g:g}")
    return table["our_source"].map(names) + scales


def exponents_markdown(table: pd.DataFrame, labels: list[Label]) -> str:
    """Return the exponents that have a counterpart.

    Parameters
    ----------
    table : DataFrame
        Published and measured numbers.
    labels : list of Label
        Labels of the curves.
    """
    rows = table[table["our_k"].notna()].copy()
    rows["published"] = pd.to_numeric(rows["value"])
    texts = pd.DataFrame({"published": rows["item"] + ": " + rows["series"], "on": rows["x"]})
    texts["paper's k"] = [tables.number(k, 3) for k in rows["published"]]
    texts["of its real k"] = shares(rows, "published")
    texts["this study"] = curve_names(rows, labels)
    texts["on "] = [
        name if " " not in name else f"mean of {len(name.split())} sets and tasks"
        for name in rows["our_evaluation"]
    ]
    intervals = rows[EXPONENT].itertuples(index=False)
    texts["our k [95 %]"] = [tables.interval(*ends) for ends in intervals]
    texts["of our real k"] = shares(rows, "our_k")
    return tables.markdown(texts)


def levels_markdown(table: pd.DataFrame, labels: list[Label]) -> str:
    """Return each top-1 and cross-entropy that has a counterpart.

    They are compared at equal numbers of images of each part.

    Parameters
    ----------
    table : DataFrame
        Published and measured numbers.
    labels : list of Label
        Labels of the curves.
    """
    rows = table[table["our_size"].notna()]
    texts = pd.DataFrame({"published": rows["item"] + ": " + rows["series"]})
    published = zip(rows["x"], rows["x_name"], strict=True)
    texts["of"] = [f"{int(x):,} {name}" for x, name in published]
    texts["measure"] = rows["metric"].map(measure_of).map(MEASURES)
    texts["paper's"] = [tables.number(value) for value in pd.to_numeric(rows["value"])]
    curves = zip(curve_names(rows, labels), rows["our_size"], strict=True)
    texts["this study"] = [f"{name}: {size:,} images" for name, size in curves]
    values = zip(rows["our_value"], rows["our_sd"], strict=True)
    texts["ours"] = [tables.spread(mean, sd) for mean, sd in values]
    return tables.markdown(texts)


def _place(name: str, x: str) -> str:
    number = f"{int(x):,}" if x.isdigit() else x
    return f"{name}: {number}" if name or x.isdigit() else ""


def other_numbers(table: pd.DataFrame) -> list[str]:
    """Return the numbers without a counterpart, by kind, with a list of their sources."""
    rows = table[table["our_source"].isna()]
    sources = {source: place for place, source in enumerate(rows["source"].drop_duplicates(), 1)}
    parts = [
        "## Other published numbers",
        "This study has none of the same kind. In brackets the source, listed below.",
    ]
    for kind, title in KINDS.items():
        of_kind = rows[rows["kind"] == kind]
        if of_kind.empty:
            continue
        texts = of_kind[["series", "metric", "value", "source", "confidence"]]
        texts = texts.rename(columns={"metric": "measure"})
        places = zip(of_kind["x_name"], of_kind["x"], strict=True)
        texts.insert(1, "at", [_place(*pair) for pair in places])
        texts["value"] = [f"{int(v):,}" if v.isdigit() else v for v in of_kind["value"]]
        texts["source"] = [f"[{sources[source]}]" for source in of_kind["source"]]
        parts += [f"### {title}", tables.markdown(texts)]
    listed = [f"{place}. {html.literal(source)}" for source, place in sources.items()]
    return [*parts, "### Sources", "\n".join(listed)]
