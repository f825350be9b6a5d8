"""Fetch the model of a prompt recipe. Runs where Snakemake does."""

from synscale.models import download
from synscale.runtime import cli
from synscale.workflow.settings.prompts import language_model_settings


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(
        download.parser(__doc__, "recipe"), arguments, language_model_settings
    )
    download.fetch(
        f"recipes.{args.recipe}",
        {"": settings | {"use": "language"}},
        args.known,
        args.record,
        args.output,
    )


if __name__ == "__main__":
    main()
