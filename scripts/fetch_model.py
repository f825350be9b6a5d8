"""Fetch the model of a prompt recipe. Runs where Snakemake does."""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(
        fetching.parser(__doc__, "recipe"), arguments, jobs.model_settings
    )
    fetching.fetch(
        f"recipes.{args.recipe}",
        {"": settings | {"use": "language"}},
        args.known,
        args.record,
        args.output,
    )


if __name__ == "__main__":
    main()
