"""Which images a data set in files has, in the order in which the study takes them. Every shard of
the split is a range of its rows.
"""

from synscale.data import datasets
from synscale.runtime import cli
from synscale.study.load import load_study
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import images_needed


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "split")
    parser.add_argument(
        "--classes", nargs="?", help="CSV of the classes of the split; pairs have none"
    )
    parser.add_argument("--output", required=True, help="parquet")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, index_settings)

    wanted = (
        images_needed(load_study(args.study), args.split) or None
    )  # only to tell at once that there are too few
    try:
        found = datasets.write_index(
            datasets.of_split(args.split, args.classes, settings, wanted), args.output, args.threads
        )
    except datasets.DataSetError as error:
        raise SystemExit(str(error)) from None
    print(f"{args.split}: {found.told()}")


if __name__ == "__main__":
    main()
