"""Each claim of the paper's abstract as a hypothesis, tested on this study's data.

The abstract has words, no numbers: hypotheses and tests are this project's. Each hypothesis and its
opposite have a p value; Holm's method adjusts those of all rows together. verdict: "holds" if the
adjusted p of the hypothesis is below 0.05, "does not hold" if that of the opposite is, else
"undecided".
"""

from synscale.analysis import metrics, result_files
from synscale.analysis.claim_data import Data
from synscale.analysis.claim_tests import claims_table
from synscale.report import claims_table as report
from synscale.report import tables
from synscale.runtime import cli
from synscale.workflow.settings.claims import claims_settings

TEXT = (
    "Each claim of the paper's abstract as a hypothesis that the data of this study can decide. "
    "k: scaling exponent of cross-entropy, larger is better. Δk: difference of two exponents."
)


def main(arguments: list[str] | None = None) -> None:
    """Write the table of claims."""
    parser = tables.arguments(__doc__, "metrics", "scores")
    args, settings = cli.parse(parser, arguments, claims_settings)
    data = Data(metrics.read(args.metrics), settings)
    tidy = claims_table(data, result_files.class_scores(args.scores))
    texts = report.markdown(tidy, redrawn=settings.draws is not None)
    tables.write(tidy, ["# Claims of the paper", TEXT, *texts], args.output)


if __name__ == "__main__":
    main()
