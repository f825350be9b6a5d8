"""Fetch the weights of a released text-to-image model, of both its stages where it has two.

The only step that may use the network: it runs where Snakemake does.
"""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "generator")
    parser.add_argument("--known", required=True, help="CSV of sources with hashes that are known")
    parser.add_argument("--record", required=True, help="CSV of hashes from the first fetch on; kept when the output is made again")
    parser.add_argument("--output", required=True, help="folder of the pipeline; a second stage is in a folder `upscaler` of it")
    args, settings = command.parse(parser, arguments, jobs.fetch_settings)

    upscaler = settings.pop("upscaler")
    stages = {"": settings | {"use": "generator"}} | ({"upscaler": upscaler | {"use": "upscaler"}} if upscaler else {})
    fetching.fetch(args.generator, stages, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
