"""Compare the metrics of the authors' checkpoints with published numbers of the same models."""

import pandas as pd

from synscale.workflow.settings.author_checkpoints import AuthorCheckpointTableSettings

# Points of top-1 by which published re-evaluations may differ from the authors' protocol (our
# choice).
TOLERANCE = 2
PERCENT = {"top1": 100, "cross_entropy": 1}
COLUMNS = [
    *("checkpoint", "kind", "images", "evaluation", "measure"),
    *("ours", "published", "difference", "within", "id", "source", "confidence"),
]


def _published(settings: AuthorCheckpointTableSettings, numbers: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each number that the study names."""
    rows = [
        (name, number.evaluation, number.measure, id_)
        for name, checkpoint in settings.checkpoints.items()
        for id_, number in checkpoint.numbers.items()
    ]
    table = pd.DataFrame(rows, columns=["checkpoint", "evaluation", "measure", "id"])
    table = table.astype({"id": numbers["id"].dtype})
    values = numbers.rename(columns={"value": "published"})
    values = values[["id", "published", "source", "confidence"]]
    table = table.merge(values, on="id", how="left", validate="many_to_one")
    return table.assign(published=pd.to_numeric(table["published"]))


def compare(
    metrics: pd.DataFrame, settings: AuthorCheckpointTableSettings, numbers: pd.DataFrame
) -> pd.DataFrame:
    """Compare metrics with published numbers; top1 is in percent.

    Parameters
    ----------
    metrics : DataFrame
        Metrics of the checkpoints.
    settings : AuthorCheckpointTableSettings
    numbers : DataFrame
        Published numbers, as texts.

    Returns
    -------
    DataFrame
        A row for each checkpoint, evaluation set and measure.

    Raises
    ------
    SystemExit
        If a published number has no metrics to compare with.
    """
    keys = ["checkpoint", "evaluation", "measure"]
    overall = metrics[metrics["class_id"].isna()].rename(columns={"source": "checkpoint"})
    overall = overall[[*keys[:2], *PERCENT]]
    table = overall.melt(keys[:2], var_name="measure", value_name="ours")
    table["ours"] *= table["measure"].map(PERCENT)
    published = _published(settings, numbers)
    table = table.merge(published, on=keys, how="outer", validate="one_to_many")
    for row in table[table["ours"].isna()].to_dict("records"):
        raise SystemExit(
            f"author_checkpoints.{row['checkpoint']}.numbers.{row['id']}: no metrics on "
            f"{row['evaluation']}; check whether the set has all classes of the study"
        )
    table["difference"] = table["ours"] - table["published"]
    is_comparable = table["published"].notna() & (table["measure"] == "top1")
    is_within = table["difference"].abs() <= TOLERANCE
    table["within"] = is_within.where(is_comparable).astype("boolean")
    for column in ("kind", "images"):
        table[column] = [
            getattr(settings.checkpoints[name], column) for name in table["checkpoint"]
        ]
    order = list(settings.checkpoints)
    table["place"] = table["checkpoint"].map(order.index)
    return table.sort_values(["place", *keys[1:]])[COLUMNS]
