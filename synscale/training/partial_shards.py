"""Stretches of a shard that is being generated: its finished images, kept so that a job that was
killed goes on with what is missing, and so that several processes may make a shard together.
"""

import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from synscale.cluster import allocation
from synscale.data import shards
from synscale.training import checkpoint

Sample = tuple[str, bytes, dict]


class Stretches:
    """Shards of some minutes' work each, named by the number of images of the shard that stand
    before theirs.

    folder: kept between tries; emptied by `resume.discard` when the shard is whole. identity: text
    of everything that the images depend on. storage: of the images, as `shards.encode` takes it. A
    kill loses resume.CHECKPOINT_INTERVAL seconds of work at most, and the two batches that are being made.
    """

    def __init__(self, folder: str | Path, identity: str, storage: dict):
        self.folder, self.storage = Path(folder) / checkpoint.digest(identity), storage
        self.place, self.ahead, self.saved = 0, [], time.monotonic()
        self.batch_seconds = 0.0  # longest time between two batches
        self.save_seconds = 0.0  # longest save
        self._added: float | None = None

    def _path(self, place: int) -> Path:
        return self.folder / f"{place:09d}.tar"

    def kept(self) -> dict[int, int]:
        """Place in the shard of the first image of each stretch that earlier tries have kept whole
        -> how many images it has. Others are removed, and so is what was kept of another identity.
        """
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other)
        found = {}
        for manifest in sorted(self.folder.glob("[0-9]*.parquet")):
            place = int(manifest.stem)
            try:
                found[place] = sum(1 for _ in shards.samples(self._path(place)))
            except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                print(
                    f"what an earlier try kept from image {place} on is damaged, and is made again: {error}",
                    flush=True,
                )
                manifest.unlink()
        return found

    def samples(self, place: int) -> Iterator[Sample]:
        """Those of a stretch that is kept."""
        return shards.samples(self._path(place))

    def add(self, place: int, batch: list[Sample]) -> bool:
        """Take the images of a batch and save them if it is time to.

        Near the end of a SLURM allocation, save, requeue the job and do not return. Every process
        of a job does so at the same time, and gives the others time to finish their batch.

        Parameters
        ----------
        place : int
            Number of images of the shard before those of the batch.
        batch : list of tuple
            Key, encoded image and manifest row of each image.

        Returns
        -------
        bool
            Whether it was time to save.
        """
        if place != self.place + len(self.ahead):
            self.save()
            self.place = place
        self.ahead += batch
        now = time.monotonic()
        if self._added is not None:
            self.batch_seconds = max(self.batch_seconds, now - self._added)
        self._added = now
        self._continue_later()
        due = now - self.saved >= checkpoint.CHECKPOINT_INTERVAL
        if due:
            self.save()
        return due

    def _continue_later(self) -> None:
        """Save and requeue the job if its allocation ends soon."""
        current = allocation.current()
        if current is None or not current.ends(self.save_seconds, self.batch_seconds):
            return
        processes = int(os.environ.get("WORLD_SIZE", 1))
        record = self.folder / f"requeued-{os.environ.get('RANK', 0)}.json"
        stretches = len(list(self.folder.glob("[0-9]*.parquet"))) + 1
        margin = current.margin(self.save_seconds, self.batch_seconds)
        wait = 1.5 * self.batch_seconds if processes > 1 else 0.0
        current.continue_later(record, stretches, self.save, margin, wait)

    def save(self) -> None:
        """Write the images since the last save as a stretch."""
        began = time.monotonic()
        if self.ahead:
            shards.write(self._path(self.place), self.ahead, self.storage)
        self.place, self.ahead, self.saved = self.place + len(self.ahead), [], time.monotonic()
        self.save_seconds = max(self.save_seconds, self.saved - began)
