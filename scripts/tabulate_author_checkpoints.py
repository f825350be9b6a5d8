"""Tabulate metrics of the authors' checkpoints next to published numbers of the same models."""

import pandas as pd

from synscale.analysis import metrics
from synscale.analysis.published_numbers import TOLERANCE, compare
from synscale.report import tables
from synscale.runtime import cli
from synscale.study import csv_tables
from synscale.workflow.settings.author_checkpoints import author_checkpoint_table_settings

CAPTION = (
    "Checkpoints of the paper's authors, evaluated by this project. Published numbers are "
    "re-evaluations of the same checkpoints by others. The csv describes how their protocol "
    f"differs from the authors'. A difference of at most {TOLERANCE} points of top-1 counts as "
    "agreement; there is no such margin for cross-entropy."
)
MEASURES = {"top1": "top-1, %", "cross_entropy": "cross-entropy, nats"}


def readable(tidy: pd.DataFrame) -> str:
    """Return the table in markdown."""
    columns = {
        "model": tidy["checkpoint"].str.replace("_", " "),
        "on": tidy["evaluation"],
        "images": tidy["images"].map("{:,}".format),
        "measure": tidy["measure"].map(MEASURES),
    }
    for name in ("ours", "published", "difference"):
        columns[name] = [tables.number(value, 2) for value in tidy[name]]
    columns[f"within {TOLERANCE} points"] = tidy["within"].map({True: "yes", False: "no"})
    return tables.markdown(pd.DataFrame(columns))


def main(arguments: list[str] | None = None) -> None:
    """Tabulate the checkpoints of the study that the command line names."""
    parser = tables.arguments(__doc__, "metrics")
    parser.add_argument("--numbers", required=True, help="CSV of published numbers")
    args, settings = cli.parse(parser, arguments, author_checkpoint_table_settings)
    tidy = compare(metrics.read(args.metrics), settings, csv_tables.frame(args.numbers))
    tables.write(tidy, ["# Author checkpoints", CAPTION, readable(tidy)], args.output)


if __name__ == "__main__":
    main()
