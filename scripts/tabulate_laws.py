"""Every fitted law of the study: exponent k with two intervals, scale and fit.

Next to it the law that each curve follows over all its sizes.
"""

import pandas as pd

from synscale.analysis import metrics, result_files, training_history
from synscale.report import laws_table, tables
from synscale.runtime import cli
from synscale.workflow.settings.tables import laws_settings

TEXT = (
    "L(D) = (C / D)^k with loss L in nats and D training images, fitted by least squares of log "
    "loss on log size, one point per size (mean over seeds). Intervals are 95 %: Student's t and "
    "HC3; with a floor, L(D) = E + (C / D)^k, from the profile (∞: no bound). If there is a floor, "
    "k of the pure law is too small. Few sizes cannot show a floor, so compare both columns. Over "
    "all sizes: every law that the data do not rule out, the chosen one first, with its k and an "
    "interval over all of them. docs/reference/laws.md has the coverage of this interval, and the "
    "csv has the reason for the choice. Still falling: runs whose held-out loss fell by more than "
    "2 % in the last fifth of their steps (our choice). More steps would lower their loss, and may "
    "change k."
)


def main(arguments: list[str] | None = None) -> None:
    """Write the table of laws."""
    parser = tables.arguments(__doc__, "laws", "histories")
    args, settings = cli.parse(parser, arguments, laws_settings)
    rows = [
        laws_table.row(name, law["evaluation"], curve)
        for name, law in result_files.laws(args.laws).items()
        for curve in law["curves"]
    ]
    keys = {"on": result_files.CONFIGURATION, "how": "left", "validate": "many_to_one"}
    tidy = pd.DataFrame(rows).astype({"guidance": "Float64"})
    tidy = tidy.merge(metrics.label_table(settings.labels), **keys)
    histories = training_history.read(args.histories, settings.runs)
    tidy["still_falling"] = training_history.unfinished(training_history.ends(histories), tidy)
    parts = ["# Fitted laws", TEXT]
    for name, curves in tidy.groupby("law", sort=False):
        sets = settings.laws[name].evaluation
        evaluated = sets[0] if len(sets) == 1 else "the mean loss of " + ", ".join(sets)
        table = tables.markdown(laws_table.readable(curves))
        parts += [f"## {name}", f"Evaluated on {evaluated}.", table]
    tables.write(tidy, parts, args.output)


if __name__ == "__main__":
    main()
