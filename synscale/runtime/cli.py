"""Command line of the scripts: a study, wildcards of the rule, and files."""

import argparse
from collections.abc import Callable
from typing import Any

from synscale.study.load import StudyError, load_study


def parser(description: str, *names: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every script has.

    Parameters
    ----------
    description : str
    *names : str
        Wildcards of the rule that identify its result, such as a source and a shard.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=raw)
    parser.add_argument("--study", required=True, help="study file")
    for name in names:
        parser.add_argument(f"--{name}", required=True, help=f"name of the {name}")
    planned = "digest of the settings that the job was planned with"
    parser.add_argument("--settings-digest", help=planned)
    parser.set_defaults(names=names)
    return parser


def files_parser(
    description: str, formats: tuple[str, ...], *inputs: str, of: tuple[str, ...] = ()
) -> argparse.ArgumentParser:
    """Return the parser of a script that creates a figure or table.

    Parameters
    ----------
    description : str
    formats : tuple of str
        Formats of the outputs, in order.
    *inputs : str
        Options that take a list of files.
    of : tuple of str
        Wildcards of the rule that identify its result.
    """
    options = parser(description, *of)
    for name in inputs:
        options.add_argument(f"--{name}", required=True, nargs="+")
    options.add_argument("--output", required=True, nargs=len(formats), metavar=formats)
    return options


def parse(
    parser: argparse.ArgumentParser, arguments: list[str] | None, settings_of: Callable[..., Any]
) -> tuple[argparse.Namespace, Any]:
    """Parse arguments and create the settings of the job.

    Parameters
    ----------
    parser : ArgumentParser
        Of `parser` or `files_parser`.
    arguments : list of str or None
        Arguments of the command line; None for those of this process.
    settings_of : callable
        Creates the settings from the study and the wildcards.

    Returns
    -------
    Namespace, Settings

    Raises
    ------
    SystemExit
        If the study is invalid, or if it was edited after Snakemake planned the job: the result
        would pass for one of the older settings.
    """
    args = parser.parse_args(arguments)
    wildcards = [getattr(args, name) for name in args.names]
    try:
        settings = settings_of(load_study(args.study), *wildcards)
    except StudyError as error:
        raise SystemExit(str(error)) from None
    if args.settings_digest and args.settings_digest != settings.digest():
        raise SystemExit(f"{args.study}: edited since this job was planned; run snakemake again")
    return args, settings
