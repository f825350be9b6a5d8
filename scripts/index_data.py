"""Write which images a data set in files has, in the order in which the study takes them.

Every shard of the split is a range of its rows.
"""

from synscale.data import datasets
from synscale.runtime import cli
from synscale.study.load import load_study
from synscale.workflow.settings.data import index_settings
from synscale.workflow.shards import images_needed


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "split")
    parser.add_argument("--classes", nargs="?", help="CSV of the split's classes; not for pairs")
    parser.add_argument(
        "--training-index",
        nargs="?",
        help="parquet of the training set that images are held out of",
    )
    parser.add_argument("--output", required=True, help="parquet")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, index_settings)

    # Only to report at once that there are too few.
    min_images = images_needed(load_study(args.study), args.split) or None
    data = datasets.of_split(args.split, args.classes, settings, min_images)
    try:
        survey = datasets.write_index(data, args.output, args.threads, args.training_index)
    except datasets.DataSetError as error:
        raise SystemExit(str(error)) from None
    print(f"{args.split}: {survey.summary()}")


if __name__ == "__main__":
    main()
