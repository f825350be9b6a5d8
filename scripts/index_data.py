"""Which images a data set in files has, in the order in which the study takes them. Every block of the split is a range of its rows."""

from scripts.lib import command, datasets, jobs


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "split")
    parser.add_argument("--classes", required=True, help="CSV of the classes of the split")
    parser.add_argument("--output", required=True, help="parquet")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.index_settings)

    try:
        found = datasets.write_index(datasets.of_split(args.split, args.classes, settings), args.output, args.threads)
    except datasets.DataSetError as error:
        raise SystemExit(str(error)) from None
    print(f"{args.split}: {found.told()}")


if __name__ == "__main__":
    main()
