"""Train a small text-to-image model on captioned images and save it as a diffusers pipeline.

The kinds are those of synscale/training/generator_loop.py.
"""

from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.runtime import cli
from synscale.study import class_table
from synscale.training import generator_loop
from synscale.workflow.settings.generation import generator_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    parser = cli.parser(__doc__, "generator")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--images", nargs="+", required=True, help="tars of captioned images")
    parser.add_argument("--held-out", nargs="*", default=[], help="tar of an evaluation set")
    parser.add_argument("--output", required=True, help="folder of the pipeline")
    parser.add_argument("--history", required=True, type=Path, help="CSV of the training")
    parser.add_argument("--state", required=True, help="folder of the training state")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, generator_settings)
    device = deterministic(args.threads)
    classes = class_table.read(args.classes)
    files = args.held_out, args.output, args.history, args.state
    generator_loop.train_and_save(settings, args.images, classes, *files, device)


if __name__ == "__main__":
    main()
