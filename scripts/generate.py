"""Generate one block of a source: a range of image indices at each of its guidance scales, as a shard."""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from scripts.lib.torch_setup import deterministic

import numpy as np
import pandas as pd

from scripts.lib import command, images, jobs, pipelines, recipes, resume, shards, stretches, weights

BATCH = 64  # of small models: on a CPU, larger ones fall out of the cache
ATTEMPTS = 5  # at an image that comes out blank: models in half precision overflow now and then, and a filter inside a model blacks out


def batch_size(settings: dict) -> int:
    return settings["sampling"].get("batch_size", BATCH)


def storage_of(settings: dict) -> dict:
    return {key: settings.get("stored", shards.PNG).get(key) for key in ("format", "quality")}


def key_of(scale: float, index: int) -> str:
    return f"g{scale:g}-{index:09d}".replace(".", "_")


def sampled(pipeline, batch: pd.DataFrame, scale: float, settings: dict, attempt: int = 0) -> list[tuple[int, int, np.ndarray]]:
    """Index, seed and pixels of each image of a batch. batch: image (its index) and prompt."""
    seeds = [pipelines.seed_of(settings["source"], scale, index, attempt) for index in batch["image"]]
    made = pipelines.sample(pipeline, batch["prompt"].tolist(), seeds, scale, settings["sampling"])
    return list(zip(batch["image"], seeds, made, strict=True))


def encoded(made: list[tuple[int, int, np.ndarray]], settings: dict, attempt: int = 0) -> dict[int, tuple[bytes, int, int]]:
    """index -> (image as it is stored, seed, attempt), of those that are not blank."""
    stored, found = settings.get("stored"), {}
    for index, seed, pixels in made:
        if stored:
            pixels = images.as_stored(pixels, stored["image_size"], stored["channels"])
        if not images.is_blank(pixels):
            found[index] = shards.encode(pixels, storage_of(settings)), seed, attempt
    return found


def whole(pipeline, batch: pd.DataFrame, scale: float, settings: dict, found: dict[int, tuple[bytes, int, int]]) -> dict[int, tuple[bytes, int, int]]:
    """`found`, and of the batch what is missing there, drawn again from other seeds. Raises BlankImage where an image is blank at every attempt."""
    attempt = 0
    while not (left := batch[~batch["image"].isin(found.keys())]).empty and (attempt := attempt + 1) < ATTEMPTS:
        found = found | encoded(sampled(pipeline, left, scale, settings, attempt), settings, attempt)
    if left.empty:
        return found
    row = left.iloc[0]
    raise images.BlankImage(
        f"image {key_of(scale, row['image'])}, prompt {row['prompt']!r}: of a single colour, or with numbers that are not finite, "
        f"at each of {ATTEMPTS} seeds: try precision float32 or bfloat16, another guidance scale or sampler, or another prompt"
    )


Drawn = tuple[float, pd.DataFrame, dict[int, tuple[bytes, int, int]]]


def drawn(pipeline, batches: Iterable[tuple[float, pd.DataFrame]], settings: dict) -> Iterator[Drawn]:
    """Guidance scale, batch, and index -> (image as it is stored, seed, attempt), of each of the batches.

    While one is sampled, a thread looks at the images of the one before and encodes them, so that the device need not wait for it. Blank images
    are drawn again, after the batch that is being sampled.
    """
    with ThreadPoolExecutor(1) as thread:
        begun: deque[tuple[float, pd.DataFrame, Future]] = deque()
        for scale, batch in batches:
            begun.append((scale, batch, thread.submit(encoded, sampled(pipeline, batch, scale, settings), settings)))
            if len(begun) == 2:
                scale, batch, found = begun.popleft()
                yield scale, batch, whole(pipeline, batch, scale, settings, found.result())
        for scale, batch, found in begun:
            yield scale, batch, whole(pipeline, batch, scale, settings, found.result())


def batches(settings: dict, pool: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Guidance scale, and image (its index), class_id and prompt, of each batch of the block, scale by scale, in index order."""
    for scale, (start, stop) in settings["guidance"].items():
        wanted = recipes.prompts(pool, start, stop)
        for first in range(0, len(wanted), batch_size(settings)):
            yield float(scale), wanted.iloc[first : first + batch_size(settings)]


def samples_of(pipeline, revision: str, settings: dict, names: pd.Series, own: Drawn) -> Iterator[tuple[str, bytes, dict]]:
    """(key, encoded image, manifest row) of every image of a batch."""
    scale, batch, found = own
    for row in batch.itertuples():
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
        }
        yield key_of(scale, row.image), data, told


def samples(pipeline, revision: str, settings: dict, pool: pd.DataFrame, names: pd.Series, state: stretches.Stretches) -> Iterator[tuple[str, bytes, dict]]:
    """As `samples_of`, of the block: what `state` has kept of an earlier try, then what is made now."""
    wanted = list(batches(settings, pool))
    done = again = 0
    for sample in state.kept():
        yield sample
        done, again = done + 1, again + bool(sample[2]["attempt"])
    kept, ends, began = done, accumulate(len(batch) for _, batch in wanted), time.monotonic()
    left = [own for own, end in zip(wanted, ends, strict=True) if end > kept]
    for own in drawn(pipeline, left, settings):
        found = list(samples_of(pipeline, revision, settings, names, own))
        done, again = done + len(found), again + sum(bool(row["attempt"]) for _, _, row in found)
        if state.save_by_time(found):
            print(f"{done} of {sum(len(batch) for _, batch in wanted)} images, {(done - kept) / (time.monotonic() - began):.3g} a second", flush=True)
        yield from found
    print(f"{done} images, {kept} of them kept of an earlier try; {again} were blank at first and were drawn again", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "block")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--pipeline", required=True, help="folder of a diffusers pipeline")
    parser.add_argument("--prompts", required=True, help="pool of texts of the recipe")
    parser.add_argument("--output", required=True, help="tar; its manifest is put beside it as .parquet")
    parser.add_argument("--state", required=True, help="folder of the images that are made so far, kept until the block is whole")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.generation_settings)

    device = deterministic(args.threads)
    try:
        revision = pipelines.revision(args.pipeline)
        pipeline = pipelines.load(args.pipeline, settings["sampling"], device)
    except (weights.WeightsError, pipelines.SamplerError) as error:
        raise SystemExit(f"{settings['generator']}: {error}") from None
    pool, names = pd.read_parquet(args.prompts), pd.read_csv(args.classes)["name"]
    texts = weights.hashes(Path(args.prompts).parent, [Path(args.prompts).name])
    identity = json.dumps([settings, batch_size(settings), revision, texts, names.tolist()], sort_keys=True)
    state = stretches.Stretches(args.state, identity, storage_of(settings))
    try:
        shards.write(args.output, samples(pipeline, revision, settings, pool, names, state), storage_of(settings))
    except (images.BlankImage, pipelines.SamplerError) as error:
        raise SystemExit(f"{settings['source']}: {error}") from None
    resume.discard(args.state)


if __name__ == "__main__":
    main()
