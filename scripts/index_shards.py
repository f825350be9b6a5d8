"""Index the shards of a source up to one of them.

A row has the tar, its number of images, and digests of its manifest and settings. Training reads
the index: a job that names thousands of tars would be slow to plan, and its command too long.
"""

import argparse

from synscale.data import shard_index


def main(arguments: list[str] | None = None) -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--before", nargs="*", default=[], help="index that this one continues")
    parser.add_argument("--tars", nargs="+", required=True, help="shards that follow, in order")
    parser.add_argument("--settings-digest", required=True, help="digest of their settings")
    parser.add_argument("--output", required=True, help="csv")
    args = parser.parse_args(arguments)
    shard_index.write(args.output, args.before, args.tars, args.settings_digest)


if __name__ == "__main__":
    main()
