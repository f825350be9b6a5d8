"""Fetch the model of a prompt recipe. Runs where Snakemake does."""

from dataclasses import asdict

from synscale.models import download
from synscale.runtime import cli
from synscale.workflow.settings.prompts import language_model_settings


def main(arguments: list[str] | None = None) -> None:
    parser = download.parser(__doc__, "recipe")
    args, settings = cli.parse(parser, arguments, language_model_settings)
    model = asdict(settings) | {"use": "language"}
    download.fetch(f"recipes.{args.recipe}", {"": model}, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
