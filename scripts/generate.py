"""Generate one block of a source: a range of image indices at each of its guidance scales, as a shard."""

from scripts.lib.torch_setup import deterministic

import numpy as np
import pandas as pd

from scripts.lib import command, images, jobs, pipelines, recipes, shards, weights

BATCH = 64  # of small models: on a CPU, larger ones fall out of the cache
ATTEMPTS = 5  # at an image that comes out blank: models in half precision overflow now and then, and a filter inside a model blacks out


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


def samples(pipeline, revision: str, settings: dict, pool: pd.DataFrame, names: pd.Series):
    """Yield (key, pixels, manifest row) of every image of the block, guidance scale by guidance scale, in index order. None is blank."""
    sampling, total, again = settings["sampling"], 0, 0
    size, sampler = sampling.get("batch_size", BATCH), pipelines.sampler_of(pipeline, sampling)
    for scale, (start, stop) in settings["guidance"].items():
        scale = float(scale)
        wanted = recipes.prompts(pool, start, stop)
        for first in range(0, len(wanted), size):
            batch = wanted.iloc[first : first + size]
            made = drawn(pipeline, batch, scale, settings)
            for row in batch.itertuples():
                pixels, seed, attempt = made[row.image]
                total, again = total + 1, again + bool(attempt)
                yield (
                    key_of(scale, row.image),
                    pixels,
                    {
                        "image": row.image,
                        "class_id": row.class_id,
                        "class_name": names.get(row.class_id, ""),
                        "prompt": row.prompt,
                        "recipe": settings["recipe"],
                        "generator": settings["generator"],
                        "revision": revision,
                        "guidance": scale,
                        "seed": seed,
                        "steps": sampling["steps"],
                        "sampler": sampler,
                        "attempt": attempt,
                    },
                )
    print(f"{total} images; {again} were blank at first and were drawn again", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "block")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--pipeline", required=True, help="folder of a diffusers pipeline")
    parser.add_argument("--prompts", required=True, help="pool of texts of the recipe")
    parser.add_argument("--output", required=True, help="tar; its manifest is put beside it as .parquet")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.generation_settings)

    device = deterministic(args.threads)
    try:
        revision = pipelines.revision(args.pipeline)
        pipeline = pipelines.load(args.pipeline, settings["sampling"], device)
    except (weights.WeightsError, pipelines.SamplerError) as error:
        raise SystemExit(f"{settings['generator']}: {error}") from None
    pool, names = pd.read_parquet(args.prompts), pd.read_csv(args.classes)["name"]
    storage = {key: settings.get("stored", shards.PNG).get(key) for key in ("format", "quality")}
    try:
        shards.write(args.output, samples(pipeline, revision, settings, pool, names), storage)
    except (images.BlankImage, pipelines.SamplerError) as error:
        raise SystemExit(f"{settings['source']}: {error}") from None


if __name__ == "__main__":
    main()
