"""Fetch the model of a prompt recipe. Runs where Snakemake does."""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "recipe")
    parser.add_argument("--known", required=True, help="CSV of sources with hashes that are known")
    parser.add_argument("--record", required=True, help="CSV of hashes from the first fetch on; kept when the output is made again")
    parser.add_argument("--output", required=True, help="folder of the model")
    args, settings = command.parse(parser, arguments, jobs.model_settings)
    fetching.fetch(f"recipes.{args.recipe}", {"": settings | {"use": "language"}}, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
