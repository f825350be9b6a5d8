"""Count the reads of one training epoch: in chunks, one image at a time, and by webdataset.

python -m benchmarks.reading [--images 25600] [--kilobytes 31]

Images are read and their sha256 is checked (not by webdataset), but they are not decoded. The
number of read calls and their bytes come from /proc/self/io, so this runs on Linux only. `strace -f
-c -e trace=read,pread64` prints the same calls for any training.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import webdataset

from benchmarks.measuring import PROJECT, Disagreement, Result, begin, finish, parser
from synscale.data import shards
from synscale.data.shuffle_buffer import Shuffle, shuffle_for
from synscale.study.models.generators import Storage
from synscale.training import image_index, stream
from synscale.training.order import Order

PREDICTION = (
    "One image at a time: one read per image, of its size. Chunks: one read for 256 images, of 8.5 "
    "MB, and as many for 8 processes as for one, "
    "apart from chunks that two of them share. webdataset reads a tar from its beginning through "
    "Python's buffer: at most 10 kB a read, so 4 reads "
    "for an image with its class and text."
)
NOTES = [
    "At the paper's size: 39 billion reads of 31 kB become 150 million reads of 8.5 MB. 64 GPUs "
    "that train on 740 images per second each "
    "(estimated) ask for 185 reads per second and 1.6 GB/s together, before it was 47,000 reads "
    "per second.",
    "How images mix (our choice, `synscale/data/shuffle_buffer.py`): an epoch puts the shards in "
    "random order, 16 at a time. The chunks of these "
    "(256 consecutive images, 400,000 images in all) are put in random order and dealt to 64 "
    "lanes. In each lane, the images of 4 chunks at a time are "
    "shuffled. A batch of 1,024 has 16 images from each lane: images of 256 chunks, on average 4 "
    "of each. Prefixes of a source are "
    "balanced over classes, so a chunk has images of 256 or of all classes. Sets of up to 16,384 "
    "images (or 4 batches) are shuffled "
    "directly, as before.",
    "Memory: the buffer of all lanes has 65,536 images, 2.0 GB at 31 kB, however many processes "
    "share a training; a chunk is dropped after its last image. "
    "`rules/train.smk` requests at most 3.7 GB for one GPU and 5.2 GB for eight with 64 threads. "
    "Opening the next shards begins with reading half a buffer. SLURM counts "
    "the page cache too, but the kernel gives pages up when memory is short, and no chunk is read "
    "twice in an epoch. If a set is small and its training "
    "long, a higher `mem_mb` keeps it in the page cache: 4 GB for 125,000 images.",
    "`snakemake calibrate` measures reads of both sizes from the results folder with a cold page "
    "cache.",
]
BATCH = 1024
SHARDS = 4
ONE_BY_ONE, PEER = "one image at a time, the earlier reader", "webdataset, shuffle buffer of 5,000"


def write_source(folder: Path, images: int, size: int) -> list[str]:
    """Write shards whose images are random bytes, which nothing decodes."""
    random, tars = np.random.default_rng(0), []
    data = [random.bytes(size) for _ in range(64)]
    for shard in range(SHARDS):
        numbers = range(shard * images // SHARDS, (shard + 1) * images // SHARDS)
        rows = (
            (f"{i:09d}", data[i % 64], {"image": i, "class_id": i % 10, "prompt": "a photo"})
            for i in numbers
        )
        tars.append(str(folder / f"{shard:05d}.tar"))
        shards.write(tars[-1], rows, Storage(format="jpeg", quality=95))
    return tars


def chunks(tars: list[str], ranks: int, shuffle: Shuffle) -> Iterator[int]:
    """Yield the positions of an epoch, the share of each process after the other's."""
    images = stream.open_images(tars)
    for rank in range(ranks):
        steps = len(images) // BATCH
        share = {"rank": rank, "ranks": ranks, "shuffle": shuffle}
        for item in stream.iter_encoded(images, BATCH, steps, 0, **share):
            for place, data in enumerate(item.encoded.data):
                if not image_index.is_intact(data, item.encoded.sha256(place)):
                    raise Disagreement(
                        "chunks: the sha256 of an image is not the one in its manifest"
                    )
            yield from item.positions.tolist()


def one_by_one(tars: list[str]) -> Iterator[int]:
    """Yield the positions of an epoch; each image is read by itself, as before chunks existed."""
    images = stream.open_images(tars)
    order = Order(images.sizes, 0, shuffle=Shuffle(plain=len(images)))
    for position in order.take(0, len(images) // BATCH * BATCH)[1].tolist():
        shard, row = images.locate(position)
        index = image_index.open_index(shard.tar, shard.guidance)
        data = index.read_bytes(row, row + 1)[0]
        if not image_index.is_intact(data, index.sha256(row)):
            raise Disagreement("one by one: the sha256 of an image is not the one in its manifest")
        yield position


def peer(tars: list[str], images: int) -> Iterator[int]:
    """Yield the numbers of the images that webdataset reads in an epoch."""
    samples = webdataset.WebDataset(tars, shardshuffle=len(tars)).shuffle(5000).to_tuple("__key__")
    for number, (key,) in enumerate(samples):
        if number < images // BATCH * BATCH:
            yield int(key)


def counters() -> tuple[int, int]:
    """Return the read calls of this process so far, and the bytes that they returned."""
    values = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(values["syscr"]), int(values["rchar"])


def counted(work: Callable[[], Iterator[int]], size: int) -> tuple[dict, set[int]]:
    """Return a row for one way of reading an epoch, and the positions that it read."""
    image_index.open_index.cache_clear()
    calls, read = counters()
    began, positions = time.process_time(), list(work())
    seconds, (after, bytes_after) = time.process_time() - began, counters()
    calls, read = after - calls, bytes_after - read
    row = {
        "reads per 1,000 images": 1000 * calls / len(positions),
        "kB per read": read / calls / 1000,
        "bytes read, per byte of images": read / (len(positions) * size),
        "ms of CPU per image": 1000 * seconds / len(positions),
    }
    if len(set(positions)) != len(positions):
        raise Disagreement("an image was read twice")
    return row, set(positions)


def measure(folder: Path, images: int, size: int, shuffle: Shuffle) -> Result:
    """Count the reads of an epoch in each way.

    Parameters
    ----------
    folder : Path
        Place of the shards.
    images : int
        Images of the set; an epoch leaves out those that fill no batch.
    size : int
        Bytes of an image.
    shuffle : Shuffle

    Returns
    -------
    Result
    """
    tars = write_source(folder, images, size)
    ways = {
        PROJECT: partial(chunks, tars, 1, shuffle),
        f"{PROJECT}, 8 processes": partial(chunks, tars, 8, shuffle),
        ONE_BY_ONE: partial(one_by_one, tars),
        PEER: partial(peer, tars, images),
    }
    rows, expected = [], images // BATCH * BATCH
    for name, work in ways.items():
        row, positions = counted(work, size)
        if len(positions) != expected:
            raise Disagreement(
                f"{name}: wrong number of images ({len(positions)}, expected {expected})"
            )
        rows.append({"implementation": name} | row)
    text = (
        f"an epoch of {expected:,} images of {size / 1000:g} kB in {SHARDS} shards, batches of "
        f"{BATCH:,}; reads of manifests are included"
    )
    agreement = f"every way reads {expected:,} different images"
    return Result(
        "reading", "Reads of a training epoch", text, PREDICTION, {"": rows}, agreement, NOTES
    )


def main(arguments: list[str] | None = None) -> None:
    """Count, print and write the result file."""
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=25_600)
    options.add_argument("--kilobytes", type=float, default=31.0, help="of an image")
    options.add_argument(
        "--folder", type=Path, help="place of the shards; a temporary one by default"
    )
    args: argparse.Namespace
    args, _ = begin(options, arguments)
    size = round(1000 * args.kilobytes)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        finish(measure(Path(folder), args.images, size, shuffle_for(BATCH, size)), args)


if __name__ == "__main__":
    main()
