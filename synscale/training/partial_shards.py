"""Partial shards: the finished images of a shard that is being generated.

They are saved so that an interrupted job resumes with the missing images, and so that several
processes can generate a shard together.
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

Sample = tuple[str, bytes, dict]  # key, encoded image, manifest row


class PartialShards:
    """Shards of some minutes' work each, named by the number of images before theirs.

    An interruption loses at most `checkpoint.CHECKPOINT_INTERVAL` seconds of work, and the two
    batches in progress.

    Parameters
    ----------
    folder : str or Path
        Kept between attempts; removed by `checkpoint.discard` when the shard is complete.
    identity : str
        Text of everything that the images depend on.
    storage : dict
        Format of the images, as for `shards.encode`.
    """

    def __init__(self, folder: str | Path, identity: str, storage: dict):
        self.folder = Path(folder) / checkpoint.digest(identity)
        self.storage = storage
        self.place = 0
        self.pending: list[Sample] = []
        self.saved = time.monotonic()
        self.batch_seconds = 0.0  # longest time between two batches
        self.save_seconds = 0.0  # longest save
        self._added: float | None = None

    def _path(self, place: int) -> Path:
        return self.folder / f"{place:09d}.tar"

    def counts(self) -> dict[int, int]:
        """Return the place of each partial shard in the shard -> its number of images.

        Damaged ones are removed, and so are those of another identity.
        """
        for other in self.folder.parent.glob("*"):
            if other != self.folder:
                shutil.rmtree(other)
        counts = {}
        for manifest in sorted(self.folder.glob("[0-9]*.parquet")):
            place = int(manifest.stem)
            try:
                counts[place] = sum(1 for _ in shards.samples(self._path(place)))
            except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                reason = f"damaged, and is generated again: {error}"
                print(f"partial shard from image {place} on is {reason}", flush=True)
                manifest.unlink()
        return counts

    def samples(self, place: int) -> Iterator[Sample]:
        """Yield the samples of a partial shard."""
        return shards.samples(self._path(place))

    def add(self, place: int, samples: list[Sample]) -> bool:
        """Take the samples of a batch and save them if it is time to.

        Near the end of a SLURM allocation, save, requeue the job and do not return. Every process
        of a job does so at the same time, and gives the others time to finish their batch.

        Parameters
        ----------
        place : int
            Number of images of the shard before those of the batch.
        samples : list of tuple
            Key, encoded image and manifest row of each image.

        Returns
        -------
        bool
            Whether it was time to save.
        """
        if place != self.place + len(self.pending):
            self.save()
            self.place = place
        self.pending += samples
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
        count = len(list(self.folder.glob("[0-9]*.parquet"))) + 1
        margin = current.margin(self.save_seconds, self.batch_seconds)
        wait = 1.5 * self.batch_seconds if processes > 1 else 0.0
        current.continue_later(record, count, self.save, margin, wait)

    def save(self) -> None:
        """Write the images since the last save as a partial shard."""
        began = time.monotonic()
        if self.pending:
            shards.write(self._path(self.place), self.pending, self.storage)
        self.place += len(self.pending)
        self.pending = []
        self.saved = time.monotonic()
        self.save_seconds = max(self.save_seconds, self.saved - began)
