"""Generate one shard of a source: a range of image indices at each of its guidance scales, as a
shard.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import synscale.runtime.torch_setup  # noqa: F401

import numpy as np
import pandas as pd

from synscale.data import codec, shards
from synscale.models import checksums, pipelines
from synscale.prompts import recipes
from synscale.runtime import cli
from synscale.study import class_table
from synscale.study.load import load_study
from synscale.study.models.generators import Storage
from synscale.study.models.rounding import without_rounding_only
from synscale.training import checkpoint, distributed, partial_shards
from synscale.workflow.settings.generation import generation_settings

BATCH = 64  # of small models: on a CPU, larger ones fall out of the cache
ATTEMPTS = 5  # at an image that comes out blank: models in half precision overflow now and then, and a filter inside a model blacks out

Batch = tuple[
    int, float, pd.DataFrame
]  # how many images of the shard stand before its own; guidance scale; image (its index), class_id and prompt of each
Found = dict[int, tuple[bytes, int, int]]  # image index -> image as it is stored, seed, attempt


def batch_size(settings: dict) -> int:
    return settings["sampling"].get("batch_size", BATCH)


def storage_of(settings: dict) -> Storage:
    stored = settings.get("stored", {})
    return Storage(format=stored.get("format", "png"), quality=stored.get("quality"))


def key_of(scale: float, index: int) -> str:
    return f"g{scale:g}-{index:09d}".replace(".", "_")


def sampled(
    pipeline, batch: pd.DataFrame, scale: float, settings: dict, attempt: int = 0
) -> list[tuple[int, int, np.ndarray]]:
    """Index, seed and pixels of each image of a batch. batch: image (its index) and prompt."""
    seeds = [
        pipelines.seed_of(settings["source"], scale, index, attempt) for index in batch["image"]
    ]
    made = pipelines.sample(pipeline, batch["prompt"].tolist(), seeds, scale, settings["sampling"])
    return list(zip(batch["image"], seeds, made, strict=True))


def encoded(made: list[tuple[int, int, np.ndarray]], settings: dict, attempt: int = 0) -> Found:
    """Those that are not blank."""
    stored, found = settings.get("stored"), {}
    for index, seed, pixels in made:
        if stored:
            pixels = codec.as_stored(pixels, stored["image_size"], stored["channels"])
        if not codec.is_blank(pixels):
            found[index] = shards.encode(pixels, storage_of(settings)), seed, attempt
    return found


def whole(pipeline, batch: pd.DataFrame, scale: float, settings: dict, found: Found) -> Found:
    """`found`, and of the batch what is missing there, drawn again from other seeds. Raises
    BlankImage where an image is blank at every attempt.
    """
    attempt = 0
    while (
        not (left := batch[~batch["image"].isin(found.keys())]).empty
        and (attempt := attempt + 1) < ATTEMPTS
    ):
        found = found | encoded(
            sampled(pipeline, left, scale, settings, attempt), settings, attempt
        )
    if left.empty:
        return found
    row = left.iloc[0]
    raise codec.BlankImage(
        f"image {key_of(scale, row['image'])}, prompt {row['prompt']!r}: of a single colour, or with numbers that are not finite, "
        f"at each of {ATTEMPTS} seeds: try precision float32 or bfloat16, another guidance scale or sampler, or another prompt"
    )


def drawn(pipeline, wanted: Iterable[Batch], settings: dict) -> Iterator[tuple[Batch, Found]]:
    """Each of the batches, and its images.

    While one is sampled, a thread looks at the images of the one before and encodes them, so that
    the device need not wait for it. Blank images are drawn again, after the batch that is being
    sampled.
    """
    with ThreadPoolExecutor(1) as thread:
        begun: deque[tuple[Batch, Future]] = deque()
        for batch in wanted:
            _, scale, rows = batch
            begun.append(
                (batch, thread.submit(encoded, sampled(pipeline, rows, scale, settings), settings))
            )
            if len(begun) == 2:
                yield _drawn(pipeline, *begun.popleft(), settings)
        for batch, found in begun:
            yield _drawn(pipeline, batch, found, settings)


def _drawn(pipeline, batch: Batch, found: Future, settings: dict) -> tuple[Batch, Found]:
    _, scale, rows = batch
    return batch, whole(pipeline, rows, scale, settings, found.result())


def batches(settings: dict, pool: pd.DataFrame, kept: dict[int, int]) -> Iterator[Batch]:
    """Yield the batches of the shard that are missing, scale by scale, in index order.

    Parameters
    ----------
    settings : dict
        As generation_settings returns them.
    pool : DataFrame
        Texts of the recipe.
    kept : dict
        Place in the shard -> number of images, of each part that an earlier attempt kept, with
        this batch size or another.

    Yields
    ------
    Batch
    """
    place = first = 0
    for scale, (start, stop) in settings["guidance"].items():
        wanted = recipes.prompts(pool, start, stop)
        end = place + len(wanted)
        while first < end:  # a kept part may end within the images of the next scale
            if first in kept:
                first += kept[first]
                continue
            following = min((other for other in kept if other > first), default=end)
            last = min(first + batch_size(settings), following, end)
            yield first, float(scale), wanted.iloc[first - place : last - place]
            first = last
        place = end


def samples_of(
    pipeline, revision: str, settings: dict, names: pd.Series, batch: Batch, found: Found
) -> Iterator[partial_shards.Sample]:
    """(key, encoded image, manifest row) of every image of a batch."""
    _, scale, rows = batch
    scheduler = {}  # not for generators that are trained here: their manifests keep their bytes
    if settings["sampling"]["kind"] == "pretrained":
        scheduler = {"scheduler": pipelines.scheduler_of(pipeline)}
    for row in rows.itertuples():
        data, seed, attempt = found[row.image]
        told = {
            "image": row.image,
            "class_id": row.class_id,
            "class_name": names.get(row.class_id, ""),
            "prompt": row.prompt,
            "recipe": settings["recipe"],
            "generator": settings["generator"],
            "revision": revision,
            "guidance": scale,
            "seed": seed,
            "steps": settings["sampling"]["steps"],
            "sampler": pipelines.sampler_of(pipeline, settings["sampling"]),
            "attempt": attempt,
        } | scheduler
        yield key_of(scale, row.image), data, told


class ShardGeneration:
    """A shard that is made: by this process alone, or by it and others that each take a share of
    its batches.

    kept: place -> number of images, of each stretch of `state` that is whole.
    """

    def __init__(
        self,
        pipeline,
        revision: str,
        settings: dict,
        pool: pd.DataFrame,
        names: pd.Series,
        state: partial_shards.Stretches,
        kept: dict[int, int],
    ):
        self.pipeline, self.settings, self.state, self.kept = pipeline, settings, state, kept
        self.told = revision, settings, names
        self.images = sum(stop - start for start, stop in settings["guidance"].values())
        self.left = list(batches(settings, pool, kept))

    def share(self, rank: int, ranks: int) -> list[Batch]:
        """Of the batches that are left, those of one of several processes: neighbours, and as many
        as the others have, or one more.
        """
        return self.left[len(self.left) * rank // ranks : len(self.left) * (rank + 1) // ranks]

    def make(self, wanted: list[Batch]) -> Iterator[tuple[int, list[partial_shards.Sample]]]:
        """Place in the shard and samples of each of these batches, which are kept now and then."""
        done = again = 0
        began = time.monotonic()
        for batch, found in drawn(self.pipeline, wanted, self.settings):
            samples = list(samples_of(self.pipeline, *self.told, batch, found))
            done, again = (
                done + len(samples),
                again + sum(bool(row["attempt"]) for _, _, row in samples),
            )
            if self.state.add(batch[0], samples):
                print(
                    f"{done} of {sum(len(rows) for _, _, rows in wanted)} images, {done / (time.monotonic() - began):.3g} a second",
                    flush=True,
                )
            yield batch[0], samples
        print(
            f"{done} images were made; {again} were blank at first and were drawn again", flush=True
        )

    def samples(self) -> Iterator[partial_shards.Sample]:
        """Of the whole shard, in order: what is kept, and what is left, which is made now."""
        made, place = self.make(self.left), 0
        print(
            f"{sum(self.kept.values())} of {self.images} images are kept of an earlier try",
            flush=True,
        )
        while place < self.images:
            samples = self.state.samples(place) if place in self.kept else next(made)[1]
            for sample in samples:
                place += 1
                yield sample
        deque(made, maxlen=0)  # to its last word


def samples(
    pipeline,
    revision: str,
    settings: dict,
    pool: pd.DataFrame,
    names: pd.Series,
    state: partial_shards.Stretches,
) -> Iterator[partial_shards.Sample]:
    """(key, encoded image, manifest row) of every image of the shard: what `state` has kept of an
    earlier try, and what is made now.
    """
    return ShardGeneration(pipeline, revision, settings, pool, names, state, state.kept()).samples()


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "source", "shard")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--pipeline", required=True, help="folder of a diffusers pipeline")
    parser.add_argument("--prompts", required=True, help="pool of texts of the recipe")
    parser.add_argument(
        "--output", required=True, help="tar; its manifest is put beside it as .parquet"
    )
    parser.add_argument(
        "--state",
        required=True,
        help="folder of the images that are made so far, kept until the shard is whole",
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, generation_settings)

    with distributed.process_group(args.threads) as processes:
        try:
            make(args, settings, processes)
        except (checksums.WeightsError, pipelines.SamplerError, codec.BlankImage) as error:
            raise SystemExit(f"{settings['source']}, by {settings['generator']}: {error}") from None


def make(args: argparse.Namespace, settings: dict, processes: distributed.ProcessGroup) -> None:
    revision = pipelines.revision(args.pipeline)
    scales = load_study(args.study).sources[settings["source"]].images
    pipeline = pipelines.load(args.pipeline, settings["sampling"], processes.device, scales)
    pool, names = pd.read_parquet(args.prompts), class_table.read(args.classes)["name"]
    texts = checksums.hashes(Path(args.prompts).parent, [Path(args.prompts).name])
    identity = json.dumps(
        [without_rounding_only(settings), revision, texts, names.tolist()], sort_keys=True
    )
    state = partial_shards.Stretches(args.state, identity, storage_of(settings))

    def shard() -> ShardGeneration:
        return ShardGeneration(
            pipeline,
            revision,
            settings,
            pool,
            names,
            state,
            processes.broadcast(state.kept() if processes.is_main else None),
        )

    if processes.ranks > 1:
        own = shard()
        deque(own.make(own.share(processes.rank, processes.ranks)), maxlen=0)
        state.save()
        processes.barrier()
    whole_shard = shard()
    if processes.is_main:
        shards.write(args.output, whole_shard.samples(), storage_of(settings))
        checkpoint.discard(args.state)


if __name__ == "__main__":
    main()
