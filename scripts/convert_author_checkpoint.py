"""Convert a checkpoint of the paper's authors to safetensors."""

from pathlib import Path

from synscale.evaluation.author_checkpoints import convert
from synscale.runtime import cli
from synscale.workflow.settings.author_checkpoints import conversion_settings


def main(arguments: list[str] | None = None) -> None:
    """Convert the checkpoint that the command line names."""
    parser = cli.parser(__doc__, "checkpoint")
    parser.add_argument("--file", required=True, type=Path, help="state dict, as torch saves it")
    parser.add_argument("--output", required=True, help="safetensors")
    args, settings = cli.parse(parser, arguments, conversion_settings)
    convert(settings, args.file, args.output)


if __name__ == "__main__":
    main()
