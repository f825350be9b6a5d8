"""Every published number next to this study's, if there is one of the same kind.

The kinds are an exponent, and a top-1 or a cross-entropy at one size.
"""

from synscale.analysis import metrics, result_files
from synscale.report import tables, versus_paper
from synscale.runtime import cli
from synscale.study import csv_tables
from synscale.workflow.settings.tables import versus_settings

EXPONENTS = (
    "Scaling exponents k of the same comparisons. They depend on the task, so the two need not be "
    "equal. The ratio of each exponent to that of real images compares better. The exponents of "
    "the paper are read from the bars of the teaser in its repository, which is remembered to be "
    "Figure 1."
)
LEVELS = (
    "Runs with the same number of images of each part as the published run. For the released "
    "checkpoints of synthetic and real pairs together, sizes are assumed to count captions, each "
    "with both images; this is derived and not stated. Here these are twice as many images. This "
    "study: {}."
)


def main(arguments: list[str] | None = None) -> None:
    """Write the table of published numbers."""
    parser = tables.arguments(__doc__, "laws")
    runs = "of the runs that are compared with a published top-1 or cross-entropy"
    parser.add_argument("--metrics", nargs="*", default=[], help=runs)
    numbers = "CSV of published numbers: data/paper_numbers.csv"
    parser.add_argument("--numbers", required=True, help=numbers)
    args, settings = cli.parse(parser, arguments, versus_settings)
    table = metrics.read(args.metrics) if args.metrics else None
    fits = result_files.fitted_curves(args.laws)
    tidy = versus_paper.compare(csv_tables.frame(args.numbers), settings, fits, table)
    parts = ["# This study and the paper"]
    if tidy["our_k"].notna().any():
        parts += [EXPONENTS, versus_paper.exponents_markdown(tidy, settings.labels)]
    if tidy["our_size"].notna().any():
        text = LEVELS.format(tables.over_seeds(tidy["our_seeds"].dropna()))
        levels = versus_paper.levels_markdown(tidy, settings.labels)
        parts += ["## Top-1 and cross-entropy at the same size", text, levels]
    tables.write(tidy, parts + versus_paper.other_numbers(tidy), args.output)


if __name__ == "__main__":
    main()
