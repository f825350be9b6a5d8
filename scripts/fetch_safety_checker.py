"""Fetch the safety checker of a released pipeline of the Stable Diffusion family, and nothing else
of it. Runs where Snakemake does.
"""

from synscale.models import download
from synscale.runtime import cli
from synscale.workflow.settings.generation import checker_settings


def main(arguments: list[str] | None = None) -> None:
    args, settings = cli.parse(download.parser(__doc__), arguments, checker_settings)
    download.fetch(
        "safety_checker",
        {"": settings | {"use": "safety_checker"}},
        args.known,
        args.record,
        args.output,
    )


if __name__ == "__main__":
    main()
