"""Fetch only the safety checker of a pipeline of the Stable Diffusion family.

Runs where Snakemake runs.
"""

from synscale.models import download
from synscale.workflow.settings.generation import checker_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    download.run(__doc__, (), arguments, checker_settings, "safety_checker")


if __name__ == "__main__":
    main()
