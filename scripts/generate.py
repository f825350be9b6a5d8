"""Generate one block of a source: a range of image indices at each of its guidance scales, as a shard."""

from scripts.lib.torch_setup import deterministic

import pandas as pd

from scripts.lib import command, images, jobs, pipelines, recipes, shards, weights

BATCH = 64  # of small models: on a CPU, larger ones fall out of the cache
MOST_BLANK = 0.01  # share of a block that may be of a single colour: models in half precision, or with a filter, black some images out


def samples(pipeline, revision: str, settings: dict, pool: pd.DataFrame, names: pd.Series):
    """Yield (key, pixels, manifest row) of every image of the block, guidance scale by guidance scale, in index order."""
    source, sampling, stored = settings["source"], settings["sampling"], settings.get("stored")
    size, sampler = sampling.get("batch_size", BATCH), pipelines.sampler_of(pipeline, sampling)
    for scale, (start, stop) in settings["guidance"].items():
        scale = float(scale)
        wanted = recipes.prompts(pool, start, stop)
        for first in range(0, len(wanted), size):
            batch = wanted.iloc[first : first + size]
            seeds = [pipelines.seed_of(source, scale, index) for index in batch["image"]]
            made = pipelines.sample(pipeline, batch["prompt"].tolist(), seeds, scale, sampling)
            for row, seed, pixels in zip(batch.itertuples(), seeds, made, strict=True):
                yield (
                    f"g{scale:g}-{row.image:09d}".replace(".", "_"),
                    images.as_stored(pixels, stored["image_size"], stored["channels"]) if stored else pixels,
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
                        "blank": images.is_blank(pixels),
                    },
                )


def checked(samples, total: int):
    """The same samples. Raises BlankImages as soon as more of them are blank than may be of `total`, so that none of the block is kept."""
    blank = []
    for count, sample in enumerate(samples, 1):
        if sample[2]["blank"]:
            blank.append(sample[0])
            if len(blank) > MOST_BLANK * total:
                told = f"{len(blank)} of the first {count} images are of a single colour or hold numbers that are not finite ({', '.join(blank[:3])}, ...)"
                raise images.BlankImages(f"{told}, more than {MOST_BLANK:.0%} of {total}: try precision float32 or bfloat16, another guidance scale or sampler")
        yield sample
    if blank:
        print(f"{len(blank)} of {total} images are blank ({', '.join(blank)}): kept, and marked in the manifest", flush=True)


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
    total = sum(stop - start for start, stop in settings["guidance"].values())
    try:
        shards.write(args.output, checked(samples(pipeline, revision, settings, pool, names), total), storage)
    except images.BlankImages as error:
        raise SystemExit(f"{settings['source']}: {error}") from None


if __name__ == "__main__":
    main()
