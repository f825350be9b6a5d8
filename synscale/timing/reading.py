"""Time reads from the folder of the results with a cold page cache."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synscale.data.shuffle_buffer import images_per_chunk
from synscale.planning.image_sizes import image_bytes
from synscale.planning.reader_memory import images_read, is_in_memory
from synscale.timing.bench import Bench, Timed
from synscale.workflow.runs import group_runs, run_groups, training_recipe

RESULTS = Path("results")
FILE_BYTES = 512 << 20
MOST_READS = 10_000


@dataclass(frozen=True)
class Speed:
    """Reads of one size at random places.

    Parameters
    ----------
    size : int
        Bytes of a read.
    reads : int
    seconds : float
    """

    size: int
    reads: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Reads per second."""
        return self.reads / self.seconds

    def __str__(self) -> str:
        megabytes = self.per_second * self.size / 1e6
        return f"{self.per_second:,.0f} reads per second, {megabytes:,.0f} MB per second"


def forget(file: int) -> None:
    """Write a file to its disk and remove it from the page cache of this machine."""
    os.fsync(file)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def cold_reads(file: int, length: int, size: int, seconds: float) -> Speed:
    """Time reads of one size at random places of a file, none of which is read twice.

    Parameters
    ----------
    file : int
        Descriptor.
    length : int
        Bytes of the file.
    size : int
        Bytes of a read.
    seconds : float
        Time after which no further read begins.

    Returns
    -------
    Speed
    """
    forget(file)
    places = np.random.default_rng(size).permutation(max(1, length // size)) * size
    reads, start = 0, time.perf_counter()
    for place in places[:MOST_READS].tolist():
        os.pread(file, size, place)
        reads += 1
        if time.perf_counter() - start >= seconds:
            break
    return Speed(size, reads, time.perf_counter() - start)


def reads(bench: Bench) -> Iterator[Timed]:
    """Time reads of chunks, as trainings have them, and of single images."""
    study = bench.study
    sets = [images_read(study, *job) for job in run_groups(study) if _is_classifier(study, job)]
    if all(is_in_memory(study, images) for images in sets):
        note = "cold reads: not timed, because the images of every training fit into memory"
        yield Timed("storage", "", "", {}, 0, note=note)
        return
    size = image_bytes(study)
    chunk = images_per_chunk(size) * size
    is_new = not RESULTS.exists()
    RESULTS.mkdir(exist_ok=True)
    yield from _in_results(bench, size, chunk)
    if is_new:
        RESULTS.rmdir()


def _in_results(bench: Bench, size: int, chunk: int) -> Iterator[Timed]:
    with tempfile.TemporaryFile(dir=RESULTS) as file:
        block = np.random.default_rng(0).bytes(min(FILE_BYTES, 32 << 20))
        for _ in range(max(1, FILE_BYTES // len(block))):
            file.write(block)
        file.flush()
        length = file.tell()
        for name, read in (("a chunk", chunk), ("one image", size)):
            speed = cold_reads(file.fileno(), length, read, bench.seconds)
            images = speed.per_second * read / size
            note = f"{speed}: {images:,.0f} images per second for one process"
            note += "; servers may still cache what was just written"
            what = f"cold reads of {name}, {read / 1000:,.0f} kB"
            yield Timed("storage", "", what, {}, 0, note=note)


def _is_classifier(study, job: tuple[str, str]) -> bool:
    run = group_runs(study, *job)[0]
    return training_recipe(study, run.architecture) is study.classifiers
