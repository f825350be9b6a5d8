"""Generate one block of a source: a range of image indices at each of its guidance scales, as a shard."""

import json
import time
from collections.abc import Iterator
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


def drawn(pipeline, batch: pd.DataFrame, scale: float, settings: dict) -> dict[int, tuple[np.ndarray, int, int]]:
    """index -> (pixels as stored, seed, attempt) of each image of a batch. Blank ones are drawn again, from other seeds.

    batch: image (its index) and prompt. Raises BlankImage where one is blank at every attempt.
    """
    stored, made, left = settings.get("stored"), {}, batch
    for attempt in range(ATTEMPTS):
        seeds = [pipelines.seed_of(settings["source"], scale, index, attempt) for index in left["image"]]
        sampled = pipelines.sample(pipeline, left["prompt"].tolist(), seeds, scale, settings["sampling"])
        for index, seed, pixels in zip(left["image"], seeds, sampled, strict=True):
            if stored:
                pixels = images.as_stored(pixels, stored["image_size"], stored["channels"])
            if not images.is_blank(pixels):
                made[index] = (pixels, seed, attempt)
        left = left[~left["image"].isin(made.keys())]
        if left.empty:
            return made
    row = left.iloc[0]
    raise images.BlankImage(
        f"image {key_of(scale, row['image'])}, prompt {row['prompt']!r}: of a single colour, or with numbers that are not finite, "
        f"at each of {ATTEMPTS} seeds: try precision float32 or bfloat16, another guidance scale or sampler, or another prompt"
    )


def batches(settings: dict, pool: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Guidance scale, and image (its index), class_id and prompt, of each batch of the block, scale by scale, in index order."""
    for scale, (start, stop) in settings["guidance"].items():
        wanted = recipes.prompts(pool, start, stop)
        for first in range(0, len(wanted), batch_size(settings)):
            yield float(scale), wanted.iloc[first : first + batch_size(settings)]


def samples_of(pipeline, revision: str, settings: dict, names: pd.Series, scale: float, batch: pd.DataFrame) -> Iterator[tuple[str, bytes, dict]]:
    """(key, encoded image, manifest row) of every image of a batch. None is blank."""
    found = drawn(pipeline, batch, scale, settings)
    for row in batch.itertuples():
        pixels, seed, attempt = found[row.image]
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
        yield key_of(scale, row.image), shards.encode(pixels, storage_of(settings)), told


def samples(pipeline, revision: str, settings: dict, pool: pd.DataFrame, names: pd.Series, state: stretches.Stretches) -> Iterator[tuple[str, bytes, dict]]:
    """As `samples_of`, of the block: what `state` has kept of an earlier try, then what is made now."""
    wanted = sum(len(batch) for _, batch in batches(settings, pool))
    done = again = 0
    for sample in state.kept():
        yield sample
        done, again = done + 1, again + bool(sample[2]["attempt"])
    kept, place, began = done, 0, time.monotonic()
    for scale, batch in batches(settings, pool):
        place += len(batch)
        if place <= kept:
            continue
        found = list(samples_of(pipeline, revision, settings, names, scale, batch))
        done, again = done + len(found), again + sum(bool(row["attempt"]) for _, _, row in found)
        if state.save_by_time(found):
            print(f"{done} of {wanted} images, {(done - kept) / (time.monotonic() - began):.3g} a second", flush=True)
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
