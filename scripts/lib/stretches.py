"""Stretches of a block that is being generated: its finished images, kept so that a job that was killed goes on with what is missing, and so that
several processes may make a block together."""

import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.lib import resume, shards

Sample = tuple[str, bytes, dict]


class Stretches:
    """Shards of some minutes' work each, named by the number of images of the block that stand before theirs.

    folder: kept between tries; emptied by `resume.discard` when the block is whole.
    identity: text of everything that the images depend on.
    storage: of the images, as `shards.encode` takes it. A kill loses resume.EVERY seconds of work at most, and the two batches that are being made.
    """

    def __init__(self, folder: str | Path, identity: str, storage: dict):
        self.folder, self.storage = Path(folder) / resume.digest(identity), storage
        self.place, self.ahead, self.saved = 0, [], time.monotonic()

    def _path(self, place: int) -> Path:
        return self.folder / f"{place:09d}.tar"

    def kept(self) -> dict[int, int]:
        """Place in the block of the first image of each stretch that earlier tries have kept whole -> how many images it has. Others are removed, and
        so is what was kept of another identity."""
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other)
        found = {}
        for manifest in sorted(self.folder.glob("[0-9]*.parquet")):
            place = int(manifest.stem)
            try:
                found[place] = sum(1 for _ in shards.samples(self._path(place)))
            except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                print(f"what an earlier try kept from image {place} on is damaged, and is made again: {error}", flush=True)
                manifest.unlink()
        return found

    def samples(self, place: int) -> Iterator[Sample]:
        """Those of a stretch that is kept."""
        return shards.samples(self._path(place))

    def add(self, place: int, batch: list[Sample]) -> bool:
        """Take the images of a batch, which stand at that place of the block; save where it is time to, and return whether it was."""
        if place != self.place + len(self.ahead):
            self.save()
            self.place = place
        self.ahead += batch
        due = time.monotonic() - self.saved >= resume.EVERY
        if due:
            self.save()
        return due

    def save(self) -> None:
        if self.ahead:
            shards.write(self._path(self.place), self.ahead, self.storage)
        self.place, self.ahead, self.saved = self.place + len(self.ahead), [], time.monotonic()
