"""Generation of one shard of a source, batch by batch, by one process or by several.

While a batch is sampled, a thread encodes the images of the batch before, so that the device need
not wait for it. Blank images are sampled again from other seeds: models in half precision overflow
now and then, and a filter inside a model may black images out.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from synscale.data import codec, shards
from synscale.models import checksums, pipeline_files, pipelines
from synscale.models.shard_batches import Batch, missing_batches
from synscale.runtime.time_left import time_left
from synscale.training import checkpoint, distributed
from synscale.training.partial_shards import PartialShards, Sample
from synscale.workflow.settings import as_json
from synscale.workflow.settings.generation import GenerationSettings

ATTEMPTS = 5  # at an image that is blank


@dataclass(frozen=True)
class EncodedImage:
    """An image as it is stored, its seed, and how often it was blank before."""

    data: bytes
    seed: int
    attempt: int


Images = dict[int, EncodedImage]  # index in the source -> image


def key_of(guidance: float, index: int) -> str:
    """Return the key of an image in its shard.

    Parameters
    ----------
    guidance : float
        Guidance scale.
    index : int
        Index of the image.
    """
    return f"g{guidance:g}-{index:09d}".replace(".", "_")


@dataclass(frozen=True)
class BatchSampler:
    """Samples batches with a pipeline and encodes their images."""

    pipeline: pipelines.Pipeline
    settings: GenerationSettings

    def sample(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Images]]:
        """Yield each batch with its images; raise BlankImage if one is blank at every attempt."""
        with ThreadPoolExecutor(1) as thread:
            encoding: deque = deque()
            for batch in batches:
                pixels = self._pixels(batch.prompts, batch.guidance, 0)
                encoding.append((batch, thread.submit(self._encode, *pixels, 0)))
                if len(encoding) == 2:
                    previous, images = encoding.popleft()
                    yield previous, self._complete(previous, images.result())
            for batch, images in encoding:
                yield batch, self._complete(batch, images.result())

    def _pixels(
        self, prompts: pd.DataFrame, guidance: float, attempt: int
    ) -> tuple[list[int], list[int], np.ndarray]:
        """Return index, seed and pixels of each image."""
        source = self.settings.source
        indices = prompts["image"].tolist()
        seeds = [pipelines.seed_of(source, guidance, index, attempt) for index in indices]
        texts = prompts["prompt"].tolist()
        sampling = self.settings.sampling
        return indices, seeds, pipelines.sample(self.pipeline, texts, seeds, guidance, sampling)

    def _encode(
        self, indices: list[int], seeds: list[int], pixels: np.ndarray, attempt: int
    ) -> Images:
        """Return the images that are not blank."""
        settings = self.settings
        images = {}
        for index, seed, image in zip(indices, seeds, pixels, strict=True):
            stored = codec.as_stored(image, settings.image_size, settings.channels)
            if not codec.is_blank(stored):
                data = shards.encode(stored, settings.storage)
                images[index] = EncodedImage(data, seed, attempt)
        return images

    def _complete(self, batch: Batch, images: Images) -> Images:
        """Return the images of a batch; those that are missing are sampled from other seeds."""
        for attempt in range(1, ATTEMPTS + 1):
            blank = batch.prompts[~batch.prompts["image"].isin(images.keys())]
            if blank.empty:
                return images
            if attempt < ATTEMPTS:
                pixels = self._pixels(blank, batch.guidance, attempt)
                images = images | self._encode(*pixels, attempt)
        row = blank.iloc[0]
        where = f"image {key_of(batch.guidance, row['image'])}, prompt {row['prompt']!r}"
        reason = "of a single colour, or with numbers that are not finite"
        fix = "try precision float32 or bfloat16, another guidance scale, sampler or prompt"
        raise codec.BlankImage(f"{where}: {reason}, at each of {ATTEMPTS} seeds; {fix}")


@dataclass
class ShardGeneration:
    """Generation of a shard, by one process or by several that each take a share of its batches.

    Parameters
    ----------
    pipeline : DiffusionPipeline or TwoStages
    revision : str
        Of the weights, for the manifest.
    settings : GenerationSettings
    pool : DataFrame
        Texts of the recipe.
    class_names : Series
        Name of each class id.
    partial : PartialShards
    finished : dict of int to int
        `partial.counts()` when all processes begin.
    """

    pipeline: pipelines.Pipeline
    revision: str
    settings: GenerationSettings
    pool: pd.DataFrame
    class_names: pd.Series
    partial: PartialShards
    finished: dict[int, int]

    @cached_property
    def missing(self) -> list[Batch]:
        """Batches of the images that no partial shard has."""
        return list(missing_batches(self.settings, self.pool, self.finished))

    def share(self, rank: int, world_size: int) -> list[Batch]:
        """Return the missing batches of one process: neighbours, in shares of nearly equal size.

        Parameters
        ----------
        rank : int
            Rank of the process.
        world_size : int
            Number of processes.
        """
        count = len(self.missing)
        return self.missing[count * rank // world_size : count * (rank + 1) // world_size]

    def manifest_row(self, row, guidance: float, image: EncodedImage) -> dict:
        """Return the manifest row of an image.

        Parameters
        ----------
        row
            Index, class and prompt of the image.
        guidance : float
            Guidance scale.
        image : EncodedImage
            Encoded image.
        """
        settings = self.settings
        columns = {
            "image": row.image,
            "class_id": row.class_id,
            "class_name": self.class_names.get(row.class_id, ""),
            "prompt": row.prompt,
            "recipe": settings.recipe,
            "generator": settings.generator,
            "revision": self.revision,
            "guidance": guidance,
            "seed": image.seed,
            "steps": settings.sampling.steps,
            "sampler": pipelines.sampler_of(self.pipeline, settings.sampling),
            "attempt": image.attempt,
        }
        # Manifests of generators that the workflow trains do not have this column.
        if settings.sampling.kind == "pretrained":
            columns["scheduler"] = pipelines.scheduler_of(self.pipeline)
        return columns

    def batch_samples(self, batch: Batch, images: Images) -> list[Sample]:
        """Return key, encoded image and manifest row of every image of a batch.

        Parameters
        ----------
        batch : Batch
            Guidance scale and rows.
        images : Images
            Pixels of the batch.
        """
        samples = []
        for row in batch.prompts.itertuples():
            manifest_row = self.manifest_row(row, batch.guidance, images[row.image])
            samples.append(
                (key_of(batch.guidance, row.image), images[row.image].data, manifest_row)
            )
        return samples

    def generate(self, batches: list[Batch]) -> Iterator[list[Sample]]:
        """Yield the samples of each batch, and save them from time to time."""
        total = sum(len(batch.prompts) for batch in batches)
        done = 0
        repeated = 0
        began = time.monotonic()
        for batch, images in BatchSampler(self.pipeline, self.settings).sample(batches):
            samples = self.batch_samples(batch, images)
            done += len(samples)
            repeated += sum(image.attempt > 0 for image in images.values())
            if self.partial.add(batch.place, samples):
                seconds = time.monotonic() - began
                speed = f"{done / seconds:.3g} a second, {time_left(done, total, seconds)}"
                print(f"{done} of {total} images, {speed}", flush=True)
            yield samples
        print(f"{done} images generated; {repeated} were blank and sampled again", flush=True)

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of the complete shard in order; missing ones are generated."""
        count = sum(self.finished.values())
        print(f"{count} of {self.settings.images} images are from an earlier attempt", flush=True)
        generated = self.generate(self.missing)
        place = 0
        while place < self.settings.images:
            finished = place in self.finished
            for sample in self.partial.samples(place) if finished else next(generated):
                place += 1
                yield sample
        deque(generated, maxlen=0)  # prints the last line


def generate_shard(
    settings: GenerationSettings,
    scales: list[float],
    folders: list[str],
    prompts: str,
    class_names: pd.Series,
    output: str,
    state: str,
    processes: distributed.ProcessGroup,
) -> None:
    """Generate a shard and write its tar and manifest.

    Parameters
    ----------
    settings : GenerationSettings
    scales : list of float
        Every guidance scale of the source.
    folders : list of str
        Folder of the pipeline, and of the LoRA weights of the workflow if its generator is
        fine-tuned.
    prompts : str
        Parquet file of the texts of the recipe.
    class_names : Series
        Name of each class id.
    output : str
        Tar of the shard.
    state : str
        Folder of partial shards, kept until the shard is complete.
    processes : distributed.ProcessGroup
        Processes that generate the shard together.

    Raises
    ------
    WeightsError, SamplerError, BlankImage
    """
    revision = pipeline_files.revision(*folders)
    inputs = settings.sampling, processes.device, scales
    pipeline = pipelines.load(folders[0], *inputs, *folders[1:])
    pool = pd.read_parquet(prompts)
    texts = checksums.hashes(Path(prompts).parent, [Path(prompts).name])
    identity = as_json([settings, revision, texts, class_names.tolist()])
    partial = PartialShards(state, identity, settings.storage)

    def shard() -> ShardGeneration:
        finished = processes.broadcast(partial.counts() if processes.is_main else {})
        return ShardGeneration(pipeline, revision, settings, pool, class_names, partial, finished)

    if processes.ranks > 1:
        generation = shard()
        deque(generation.generate(generation.share(processes.rank, processes.ranks)), maxlen=0)
        partial.save()
        processes.barrier()
    generation = shard()
    if processes.is_main:
        shards.write(output, generation.samples(), settings.storage)
        checkpoint.discard(state)
