"""The command line of the scripts: a study, what is made of it, and the files that Snakemake names."""

import argparse
from collections.abc import Callable

from synscale.study.load import StudyError, load_study
from synscale.workflow.settings import digest


def parser(description: str, *names: str) -> argparse.ArgumentParser:
    """names: the wildcards of the rule that say what is made of the study, such as a source and a
    shard.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", required=True, help="study file")
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument(
        "--settings-digest", help="digest of the settings that the job was planned with"
    )
    parser.set_defaults(names=names)
    return parser


def files_parser(
    description: str, formats: tuple[str, ...], *inputs: str, of: tuple[str, ...] = ()
) -> argparse.ArgumentParser:
    """Of a figure or table. inputs: lists of files; formats: of the outputs, in order; of:
    wildcards of the rule.
    """
    found = parser(description, *of)
    for name in inputs:
        found.add_argument(f"--{name}", required=True, nargs="+")
    found.add_argument("--output", required=True, nargs=len(formats), metavar=formats)
    return found


def parse(
    parser: argparse.ArgumentParser, arguments: list[str] | None, settings_of: Callable[..., dict]
) -> tuple[argparse.Namespace, dict]:
    """Arguments, and the settings that `settings_of(study, name, ...)` finds in the study.

    Stops where the study has been edited since Snakemake planned the job: its result would pass for
    that of the older settings.
    """
    args = parser.parse_args(arguments)
    try:
        settings = settings_of(
            load_study(args.study), *(getattr(args, name) for name in args.names)
        )
    except StudyError as error:
        raise SystemExit(str(error)) from None
    if args.settings_digest and args.settings_digest != digest(settings):
        raise SystemExit(f"{args.study}: edited since this job was planned: start snakemake again")
    return args, settings
