"""Fetch the safety checker of a released pipeline of the Stable Diffusion family, and nothing else
of it. Runs where Snakemake does.
"""

from scripts.lib import command, fetching, jobs


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(fetching.parser(__doc__), arguments, jobs.checker_settings)
    fetching.fetch(
        "safety_checker",
        {"": settings | {"use": "safety_checker"}},
        args.known,
        args.record,
        args.output,
    )


if __name__ == "__main__":
    main()
