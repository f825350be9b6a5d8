"""Fetch the weights of a released text-to-image model, of both its stages where it has two.

The only step that may use the network: it runs where Snakemake does.
"""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(
        fetching.parser(__doc__, "generator"), arguments, jobs.fetch_settings
    )

    upscaler = settings.pop("upscaler")
    stages = {"": settings | {"use": "generator"}} | (
        {"upscaler": upscaler | {"use": "upscaler"}} if upscaler else {}
    )
    fetching.fetch(args.generator, stages, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
