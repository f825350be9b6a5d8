"""Select the best images of one shard of a source (`synscale/evaluation/selection.py`)."""

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation.selection_shards import selected_rows, write
from synscale.runtime import cli
from synscale.workflow.settings.selection import selection_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of the rule."""
    parser = cli.parser(__doc__, "source", "shard")
    parser.add_argument("--images", required=True, help="tar that images are selected from")
    parser.add_argument("--model", required=True, help="folder of the model that selects")
    parser.add_argument("--output", required=True, help="tar; its manifest is next to it")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, selection_settings)
    device = deterministic(args.threads)
    rows = selected_rows(settings, args.images, args.model, device, args.threads - 1)
    write(rows, args.images, args.output)


if __name__ == "__main__":
    main()
