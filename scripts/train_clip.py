"""Train the CLIP models of one group of runs that share a job, on pairs of one or more sources.

Under torchrun several processes, on one node or more, train each run together; rank 0 writes.
"""

from pathlib import Path

from synscale.data import shard_index
from synscale.runtime import cli
from synscale.training.clip_group import train_clip
from synscale.training.distributed import process_group
from synscale.workflow.settings.training import clip_settings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line of rule train_clip."""
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--shard-index", required=True, nargs="+", help="lists of shards by source")
    parser.add_argument("--held-out", nargs="*", default=[], help="tar of an evaluation set")
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument("--histories", required=True, type=Path, help="CSV of all runs")
    parser.add_argument("--state", required=True, help="folder of finished runs and saved states")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, clip_settings)
    tars = shard_index.tars(args.shard_index)
    evaluation = [*args.held_out, args.classes] if args.held_out else []
    files = Path(args.output), args.histories, Path(args.state)
    with process_group(args.threads) as processes:
        train_clip(settings, tars, evaluation, *files, processes)


if __name__ == "__main__":
    main()
