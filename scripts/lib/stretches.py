"""Stretches of a block that is being generated: its finished images, kept so that a job that was killed goes on after them."""

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
    identity: text of everything that the images depend on; stretches of another text are removed.
    storage: of the images, as `shards.encode` takes it. A kill loses resume.EVERY seconds of work at most, and the two batches that are being made.
    """

    def __init__(self, folder: str | Path, identity: str, storage: dict):
        self.folder, self.storage = Path(folder) / resume.digest(identity), storage
        for other in Path(folder).glob("*"):
            if other != self.folder:
                shutil.rmtree(other)
        self.done, self.ahead, self.saved = 0, [], time.monotonic()

    def _path(self) -> Path:
        return self.folder / f"{self.done:09d}.tar"

    def kept(self) -> Iterator[Sample]:
        """Samples of earlier tries from the block's first image on, as far as they are whole: after a damaged stretch none is taken."""
        while shards.manifest_path(self._path()).exists():
            try:
                samples = list(shards.samples(self._path()))  # checked to its end before the first is taken
            except (OSError, ValueError, KeyError, tarfile.TarError) as error:
                print(f"what an earlier try kept is damaged, and is made again from image {self.done} on: {error}", flush=True)
                break
            self.done += len(samples)
            yield from samples
        self.saved = time.monotonic()

    def save_by_time(self, batch: list[Sample]) -> bool:
        """Add the images of a batch, the next ones of the block; save where it is time to, and return whether it was."""
        self.ahead += batch
        due = time.monotonic() - self.saved >= resume.EVERY
        if due:
            shards.write(self._path(), self.ahead, self.storage)
            self.done, self.ahead, self.saved = self.done + len(self.ahead), [], time.monotonic()
        return due
