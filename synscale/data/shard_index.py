"""Lists of shards: a CSV with a row for each, in order: `tar`, `images` in it, `digest` of its
manifest's classes and hashes of images, `settings` that the shards of this list were made with, as
a digest.
"""

import csv
import hashlib
from pathlib import Path

import pyarrow.parquet as parquet

from synscale.data import shards
from synscale.runtime.atomic import atomic_write

HEAD = ["tar", "images", "digest", "settings"]


def write(
    path: str | Path, before: list[str | Path], tars: list[str | Path], settings: str
) -> None:
    """The rows of the lists before, then one for each tar. settings: digest of what the shards of
    these tars were made with.

    Raises ShardError where a tar is missing; its images are looked at by whoever reads them.
    """
    with atomic_write(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEAD)
        table.writerows([row[name] for name in HEAD] for row in read(before))
        for tar in map(Path, tars):
            if not tar.is_file():
                raise shards.ShardError(
                    f"{tar}: missing: remove {shards.manifest_path(tar)} too, if it is there, and make both again"
                )
            images = parquet.read_metadata(shards.manifest_path(tar)).num_rows
            table.writerow([tar, images, shards.identity([tar]), settings])


def read(paths: list[str | Path]) -> list[dict[str, str]]:
    """Rows of several lists, one after the other."""
    rows = []
    for path in paths:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def tars(paths: list[str | Path]) -> list[str]:
    return [row["tar"] for row in read(paths)]


def identity(paths: list[str | Path]) -> str:
    """A digest of every listed image and its class, in order."""
    return hashlib.sha256("".join(row["digest"] for row in read(paths)).encode()).hexdigest()
