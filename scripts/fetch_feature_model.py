"""Fetch the published model of a feature space. Runs where Snakemake runs."""

from synscale.models import download
from synscale.workflow.settings.feature_scores import feature_weights


def main(arguments: list[str] | None = None) -> None:
    """Fetch the model of the feature space that the command line names."""
    download.run(__doc__, ("feature",), arguments, feature_weights, "scores.features: {feature}")


if __name__ == "__main__":
    main()
