"""List the blocks of a source up to one of them: tar, number of images, digest of what the manifest says of them.

Whatever trains on them reads the list: a job that names thousands of tars would be slow to plan, and its command too long to run.
"""

import argparse
from pathlib import Path

from scripts.lib import block_lists
from scripts.lib.jobs.sources import blocks_until


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="where the tars lie")
    parser.add_argument("--last", required=True, help="name of the last block")
    parser.add_argument("--output", required=True, help="csv")
    args = parser.parse_args(arguments)
    block_lists.write(args.output, [Path(args.folder) / f"{block}.tar" for block in blocks_until(args.last)])


if __name__ == "__main__":
    main()
