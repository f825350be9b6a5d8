"""Table of released models as our evaluators find them, beside what is published of the same
models.
"""

import pandas as pd

from synscale.analysis import metrics
from synscale.report import tables
from synscale.runtime import cli
from synscale.study import csv_tables
from synscale.workflow.settings.author_checkpoints import author_checkpoint_table_settings

TOLERANCE = 2  # points of top-1: what published re-evaluations and the authors' protocol may differ by (ours)
PERCENT = {"top1": 100, "cross_entropy": 1}


def published(settings: dict, numbers: pd.DataFrame) -> pd.DataFrame:
    """checkpoint, evaluation, measure, id, published, source, confidence: a row for each number that
    the study names. numbers: as texts.
    """
    rows = [
        (name, own["evaluation"], own["measure"], id_)
        for name, model in settings["author_checkpoints"].items()
        for id_, own in model["numbers"].items()
    ]
    found = pd.DataFrame(rows, columns=["checkpoint", "evaluation", "measure", "id"]).astype(
        {"id": numbers["id"].dtype}
    )
    told = numbers.rename(columns={"value": "published"})[
        ["id", "published", "source", "confidence"]
    ]
    found = found.merge(told, on="id", how="left", validate="many_to_one")
    return found.assign(published=pd.to_numeric(found["published"]))


def beside(table: pd.DataFrame, settings: dict, numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each released model, evaluation set and measure: ours, and what is published, with
    the difference. top1 in percent.

    Raises SystemExit where a number is published on a set that the model was not judged on.
    """
    own = table[table["class_id"].isna()].rename(
        columns={"source": "checkpoint", "size": "images", "images": "of"}
    )
    own = own[["checkpoint", "evaluation", *PERCENT]].melt(
        ["checkpoint", "evaluation"], var_name="measure", value_name="ours"
    )
    own["ours"] *= own["measure"].map(PERCENT)
    other = published(settings, numbers)
    found = own.merge(
        other, on=["checkpoint", "evaluation", "measure"], how="outer", validate="one_to_many"
    )
    if len(lost := found[found["ours"].isna()]):
        row = lost.iloc[0]
        raise SystemExit(
            f"author_checkpoints.{row['checkpoint']}.numbers.{row['id']}: {row['evaluation']} has no metrics; does the set hold only some classes, or all?"
        )
    found["difference"] = found["ours"] - found["published"]
    near = found["difference"].abs() <= TOLERANCE
    found["within"] = near.where(found["published"].notna() & (found["measure"] == "top1")).astype(
        "boolean"
    )
    for name, model in settings["author_checkpoints"].items():
        found.loc[found["checkpoint"] == name, ["kind", "images"]] = [
            model["kind"],
            model["images"],
        ]
    order = {name: place for place, name in enumerate(settings["author_checkpoints"])}
    found = found.astype({"images": int}).sort_values(
        ["checkpoint", "evaluation", "measure"],
        key=lambda c: c.map(order) if c.name == "checkpoint" else c,
    )
    return found[
        [
            "checkpoint",
            "kind",
            "images",
            "evaluation",
            "measure",
            "ours",
            "published",
            "difference",
            "within",
            "id",
            "source",
            "confidence",
        ]
    ]


def readable(tidy: pd.DataFrame) -> str:
    read = pd.DataFrame(
        {
            "model": tidy["checkpoint"].str.replace("_", " "),
            "on": tidy["evaluation"],
            "images": tidy["images"].map("{:,}".format),
        }
    )
    read["measure"] = tidy["measure"].map(
        {"top1": "top-1, %", "cross_entropy": "cross-entropy, nats"}
    )
    for name, digits in (("ours", 2), ("published", 2), ("difference", 2)):
        read[name] = [tables.number(value, digits) for value in tidy[name]]
    read[f"within {TOLERANCE} points"] = tidy["within"].map({True: "yes", False: "no"})
    return tables.markdown(read)


def main(arguments: list[str] | None = None) -> None:
    parser = tables.arguments(__doc__, "metrics")
    parser.add_argument(
        "--numbers", required=True, help="CSV of published numbers: data/paper_numbers.csv"
    )
    args, settings = cli.parse(parser, arguments, author_checkpoint_table_settings)

    tidy = beside(metrics.read(args.metrics), settings, csv_tables.frame(args.numbers))
    text = (
        "Checkpoints that the paper's authors released, judged by this project's evaluators. Published numbers are others' re-evaluations of the same "
        f"checkpoints, whose protocol differs from the authors' in the ways that the csv names: within {TOLERANCE} points of top-1 is agreement; "
        "cross-entropy has no such margin."
    )
    tables.write(tidy, ["# Released models", text, readable(tidy)], args.output)


if __name__ == "__main__":
    main()
