"""Write one shard of the real images of a split of the study."""

from synscale.data import datasets, prepare, shards
from synscale.runtime import cli
from synscale.study import class_table
from synscale.workflow.settings.data import data_settings


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "split", "shard")
    parser.add_argument("--classes", nargs="?", help="CSV of the split's classes; not for pairs")
    parser.add_argument("--index", nargs="?", help="parquet of index_data, for data sets in files")
    parser.add_argument("--images", nargs="?", help="tar whose images are changed or selected")
    parser.add_argument("--training", nargs="*", help="tars, for a model of misread images")
    parser.add_argument("--output", required=True, help="tar; its manifest is next to it")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, data_settings)

    try:
        if settings.shift:
            samples = prepare.shifted_samples(args.images, args.training, settings, args.threads)
            shards.write(args.output, samples)
        elif settings.kind == "files":
            data = datasets.of_split(args.split, args.classes, settings.images)
            samples = prepare.file_samples(data, args.index, settings, args.threads)
            shards.write(args.output, samples, settings.stored)
        else:
            samples = prepare.digits_samples(settings, class_table.read(args.classes))
            shards.write(args.output, samples)
    except (datasets.DataSetError, prepare.TooFewImages) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
