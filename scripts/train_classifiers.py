"""Train the classifiers of one group: runs of one source and architecture that share a job.

Under torchrun several processes, on one node or more, train each run together; rank 0 writes.
"""

from pathlib import Path

from synscale.runtime import cli
from synscale.study import class_table
from synscale.training.classifier_group import train_classifiers
from synscale.training.distributed import process_group
from synscale.workflow.settings.training import classifier_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of rule train_classifiers."""
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--shard-index", required=True, nargs="+", help="lists of shards by source")
    parser.add_argument("--held-out", nargs="*", default=[], help="tar of an evaluation set")
    start_help = "folder of released weights to start from, or of the group of a run"
    parser.add_argument("--start-weights", nargs="?", help=start_help)
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--histories", required=True, type=Path, help="CSV of all runs")
    parser.add_argument("--state", required=True, help="folder of finished runs and saved states")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, classifier_settings)
    classes = len(class_table.read(args.classes))
    files = Path(args.output), args.histories, Path(args.state)
    with process_group(args.threads) as processes:
        inputs = args.shard_index, classes, args.held_out, args.start_weights
        train_classifiers(settings, *inputs, *files, processes)


if __name__ == "__main__":
    main()
