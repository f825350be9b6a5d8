"""How training images are shuffled, and the memory for it. All numbers are our choice.

Reading one image of 31 kB at a time in random order costs a network file system more than it can
serve: 64 GPUs ask for 47,000 random reads per second. Images are therefore read in chunks of
consecutive images. The shards that are open at a time are shuffled in three stages:

1. Their chunks are put in random order and dealt to `lanes`.
2. In each lane, the images of `chunks_per_lane` chunks at a time are shuffled.
3. A row of the training order takes `stripe` images from each lane. A row is a batch.

Each process reads only the lanes of its share of a batch, so that several processes read no chunk
twice. The buffers of all lanes together are the shuffle buffer, whatever the number of processes.
This module imports no torch, because rules use it to request memory.
"""

import math
from dataclasses import dataclass

IN_MEMORY = 1 << 30  # bytes of decoded pixels up to which a training reads its images only once
PLAIN_CHUNKS = 64
LANES = 64
CHUNK = 256  # images
CHUNKS_PER_LANE = 4
CHUNK_BYTES = 24 << 20  # largest chunk: images of up to 96 KiB are read 256 at a time
MIN_CHUNK = 16  # images
BATCHES = 4  # that the buffer holds at least
# Chunks in addition to those of the buffers: shards end with a part of a chunk, which processes
# may share, as they do the images that fill no row.
SPARE_CHUNKS = 16
# Batches that are read before they are needed, in addition to those that the DataLoader asks for.
READ_AHEAD = 4
PREFETCH = 2  # batches that the DataLoader asks for, for each of its processes
GPUS_PER_NODE = 8  # processes that share the memory of a node, at most


@dataclass(frozen=True)
class Shuffle:
    """Sizes of the shuffle buffer.

    Parameters
    ----------
    plain : int
        Images of a set that are shuffled directly, without chunks, if there are no more. Small
        sets keep the order that they had before chunks existed.
    lanes : int
        Independent parts of the training order.
    stripe : int
        Consecutive images that a lane contributes.
    chunk : int
        Consecutive images of a shard that are read at once.
    chunks_per_lane : int
        Chunks of a lane whose images are shuffled with one another.
    """

    plain: int = PLAIN_CHUNKS * CHUNK
    lanes: int = LANES
    stripe: int = 16
    chunk: int = CHUNK
    chunks_per_lane: int = CHUNKS_PER_LANE

    @property
    def row(self) -> int:
        """Images of the training order in which every lane has one stripe."""
        return self.lanes * self.stripe

    @property
    def lane_images(self) -> int:
        """Images of a lane that are shuffled with one another."""
        return self.chunks_per_lane * self.chunk

    @property
    def buffer_images(self) -> int:
        """Images of all lanes that are shuffled at one time."""
        return self.lanes * self.lane_images

    def most_chunks(self, images: int, processes: int) -> int:
        """Return the largest number of chunks that each of several readers keeps.

        Parameters
        ----------
        images : int
            Images of the set.
        processes : int
            Readers that share each batch.

        Returns
        -------
        int
        """
        if images <= self.plain:
            return -(-images // self.chunk) + SPARE_CHUNKS
        # A lane's buffer begins and ends within a chunk, hence one more at each end.
        return -(-self.lanes // processes) * (self.chunks_per_lane + 2) + SPARE_CHUNKS


def images_per_chunk(image_bytes: float) -> int:
    """Return how many images a chunk has, from the mean size of a stored image in bytes."""
    images = CHUNK
    while images > MIN_CHUNK and images * image_bytes > CHUNK_BYTES:
        images //= 2
    return images


def shuffle_for(batch_size: int, image_bytes: float = 0) -> Shuffle:
    """Return the sizes for a training: a row is a batch, and the buffer holds several batches.

    Parameters
    ----------
    batch_size : int
        Images of a batch, over all processes.
    image_bytes : float
        Mean size of a stored image, in bytes; 0 for images in memory.

    Returns
    -------
    Shuffle
    """
    lanes = math.gcd(LANES, batch_size)
    chunk = images_per_chunk(image_bytes)
    stripe = batch_size // lanes
    return Shuffle(
        plain=max(PLAIN_CHUNKS * chunk, BATCHES * batch_size),
        lanes=lanes,
        stripe=stripe,
        chunk=chunk,
        chunks_per_lane=max(CHUNKS_PER_LANE * LANES // lanes, -(-BATCHES * stripe // chunk)),
    )


def most_bytes(
    images: int, batch_size: int, image_bytes: float, threads: int, draw: int | None = None
) -> int:
    """Return the largest memory in which the processes of a node keep stored images.

    Parameters
    ----------
    images : int
        Images of the set.
    batch_size : int
        Images of a batch, over all processes.
    image_bytes : float
        Mean size of an image in its shard, in bytes.
    threads : int
        Threads of the job on the node. Each process has at least one.
    draw : int, optional
        Images of a micro-batch, over all processes, if readers are given micro-batches.

    Returns
    -------
    int
        Bytes: the shuffle buffer, the batches that are read ahead, and one chunk of each process in
        the page cache, which SLURM counts as well. Older pages of the cache are given up when
        memory is short, because no chunk is read twice in an epoch.
    """
    shuffle = shuffle_for(batch_size, image_bytes)
    processes = min(threads, GPUS_PER_NODE)
    chunks = processes * (shuffle.most_chunks(images, processes) + 1)
    ahead = (READ_AHEAD + PREFETCH * threads / processes) * (draw or batch_size)
    return round((chunks * shuffle.chunk + ahead) * image_bytes)
