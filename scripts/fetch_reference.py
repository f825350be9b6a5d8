"""Fetch the released classifier that makes the scores. Runs where Snakemake does."""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(fetching.parser(__doc__), arguments, jobs.reference_settings)
    fetching.fetch("scores.reference", {"": settings | {"use": "classifier"}}, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
