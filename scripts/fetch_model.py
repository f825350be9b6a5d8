"""Fetch the model of a prompt recipe. Runs where Snakemake runs."""

from synscale.models import download
from synscale.workflow.settings.prompts import language_model_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    download.run(__doc__, ("recipe",), arguments, language_model_settings, "recipes.{recipe}")


if __name__ == "__main__":
    main()
