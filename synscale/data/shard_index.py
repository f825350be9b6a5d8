"""Indexes of shards: a CSV with a row for each shard, in order.

Columns: `tar`, `images` in it, `digest` of the classes and image hashes of its manifest, and
`settings`, the digest of the settings that the shards of this index were created with.
"""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as parquet

from synscale.data import shards
from synscale.runtime.atomic import atomic_write

HEAD = ["tar", "images", "digest", "settings"]


def write(
    path: str | Path, before: list[str | Path], tars: list[str | Path], settings: str
) -> None:
    """Write the rows of the indexes before, then one for each tar.

    Images are not verified; whoever reads them does that.

    Parameters
    ----------
    path : str or Path
    before : list of str or Path
        Indexes that this one continues.
    tars : list of str or Path
    settings : str
        Digest of the settings of the shards of these tars.

    Raises
    ------
    ShardError
        If a tar is missing.
    """
    with atomic_write(path) as (part,), part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEAD)
        table.writerows([row[name] for name in HEAD] for row in read(before))
        for tar in map(Path, tars):
            manifest = shards.manifest_path(tar)
            if not tar.is_file():
                raise shards.ShardError(f"{tar}: no such file; remove {manifest} and start again")
            images = parquet.read_metadata(manifest).num_rows
            table.writerow([tar, images, shards.identity([tar]), settings])


def read(paths: Sequence[str | Path]) -> list[dict[str, str]]:
    """Return the rows of several indexes, one after the other."""
    rows: list[dict[str, str]] = []
    for path in paths:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def tars(paths: Sequence[str | Path]) -> list[str]:
    """Return the tars of several indexes."""
    return [row["tar"] for row in read(paths)]


def identity(paths: Sequence[str | Path]) -> str:
    """Return a digest of every indexed image and its class, in order."""
    return hashlib.sha256("".join(row["digest"] for row in read(paths)).encode()).hexdigest()
