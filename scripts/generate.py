"""Generate one block of a source: a range of image indices at each of its guidance scales, as a shard."""

from scripts.lib.torch_setup import deterministic

import pandas as pd

from scripts.lib import command, jobs, pipelines, recipes, shards

BATCH = 64  # on a CPU, larger ones fall out of the cache


def samples(pipeline, revision: str, settings: dict, pool: pd.DataFrame, names: pd.Series):
    """Yield (key, pixels, manifest row) of every image of the block, guidance scale by guidance scale, in index order."""
    source, sampling = settings["source"], settings["sampling"]
    for scale, (start, stop) in settings["guidance"].items():
        scale = float(scale)
        wanted = recipes.prompts(pool, start, stop)
        for first in range(0, len(wanted), BATCH):
            batch = wanted.iloc[first : first + BATCH]
            seeds = [pipelines.seed_of(source, scale, index) for index in batch["image"]]
            images = pipelines.sample(pipeline, batch["prompt"].tolist(), seeds, scale, sampling)
            for row, seed, pixels in zip(batch.itertuples(), seeds, images, strict=True):
                yield (
                    f"g{scale:g}-{row.image:09d}".replace(".", "_"),
                    pixels,
                    {
                        "image": row.image,
                        "class_id": row.class_id,
                        "class_name": names[row.class_id],
                        "prompt": row.prompt,
                        "recipe": settings["recipe"],
                        "generator": settings["generator"],
                        "revision": revision,
                        "guidance": scale,
                        "seed": seed,
                        "steps": sampling["steps"],
                        "sampler": sampling.get("sampler", "maskgit"),
                    },
                )


def main(arguments: list[str] | None = None) -> None:
    parser = command.parser(__doc__, "source", "block")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument("--pipeline", required=True, help="folder of a diffusers pipeline")
    parser.add_argument("--prompts", required=True, help="pool of texts of the recipe")
    parser.add_argument("--output", required=True, help="tar; its manifest is put beside it as .parquet")
    parser.add_argument("--threads", type=int, default=1)
    args, settings = command.parse(parser, arguments, jobs.generation_settings)

    device = deterministic(args.threads)
    pipeline = pipelines.load(args.pipeline, settings["sampling"], device)
    pool, names = pd.read_parquet(args.prompts), pd.read_csv(args.classes)["name"]
    shards.write(args.output, samples(pipeline, pipelines.revision(args.pipeline), settings, pool, names))


if __name__ == "__main__":
    main()
