"""Fetch the weights of a released text-to-image model, of both its stages where it has two.

The only step that may use the network: it runs where Snakemake does.
"""

from synscale.models import download
from synscale.runtime import cli
from synscale.workflow.settings.generation import fetch_settings


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(download.parser(__doc__, "generator"), arguments, fetch_settings)

    upscaler = settings.pop("upscaler")
    stages = {"": settings | {"use": "generator"}} | (
        {"upscaler": upscaler | {"use": "upscaler"}} if upscaler else {}
    )
    download.fetch(args.generator, stages, args.known, args.record, args.output)


if __name__ == "__main__":
    main()
