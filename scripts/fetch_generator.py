"""Fetch the weights of a pretrained text-to-image model, and of its second stage if it has one.

Runs where Snakemake runs; only the fetch rules use the network.
"""

from synscale.models import download
from synscale.workflow.settings.generation import fetch_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    download.run(__doc__, ("generator",), arguments, fetch_settings, "{generator}")


if __name__ == "__main__":
    main()
