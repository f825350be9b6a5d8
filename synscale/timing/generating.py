"""Generators, trained and sampled: their iterations, and batches of images as a job makes them."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from scripts import generate, train_generator
from synscale.data import codec, shards
from synscale.models import pipelines
from synscale.planning import flops as generators
from synscale.study.models import Study
from synscale.timing import machine, stand_ins
from synscale.timing.bench import Bench, Timed, fitting, free, seconds_of
from synscale.training import partial_shards
from synscale.workflow.settings.generation import generation_settings, generator_settings
from synscale.workflow.shards import shard_names


def train_generators(bench: Bench) -> Iterator[Timed]:
    """Of each kind that is trained here: iterations beyond the first few, which are the start's."""
    for name, own in bench.study.generators.items():
        if own.kind == "pretrained":
            continue
        settings = generator_settings(bench.study, name)
        count = 2 * settings["training"]["batch_size"]
        pixels, _ = bench.stored(count).read(torch.arange(count))
        captions = [["a photo", "a number"]] * count
        work = partial(_train_generator, bench, settings, pixels.numpy(), captions)
        few = min(5, settings["training"]["iterations"])
        more = max(few + 1, min(50, settings["training"]["iterations"]))
        step = max(
            seconds_of(partial(work, more), bench) - seconds_of(partial(work, few), bench), 1e-9
        ) / (more - few)
        flops = (
            3
            * generators.forward_flops(settings, bench.study.image_size)
            * settings["training"]["batch_size"]
        )
        yield Timed(
            "train_generator",
            generators.kind_of(settings),
            name,
            {"step": 1, "tflop": flops / 1e12},
            step,
            machine.peak(bench.device),
        )


def _train_generator(
    bench: Bench, settings: dict, pixels: np.ndarray, captions: list[list[str]], iterations: int
) -> None:
    shorter = settings | {"training": settings["training"] | {"iterations": iterations}}
    train_generator.train(
        shorter, pixels, captions, str(bench.folder / "generator"), "timed", bench.device
    )


def _source_of(study: Study, generator: str) -> str | None:
    return next(
        (
            name
            for name, own in study.sources.items()
            if own.kind == "synthetic" and own.generator == generator
        ),
        None,
    )


def _builder(model: str) -> Callable | None:
    """Of a model in a folder, or of what stands in for one of the hub."""
    if model.startswith(("/", ".")):
        return partial(pipelines.DiffusionPipeline.from_pretrained, model, dtype=torch.float32)
    return stand_ins.of(model)


def _pipeline(bench: Bench, name: str, settings: dict):
    """(pipeline, whether its weights are its own, seconds of loading); None where it is not on disk
    and nothing stands in for it.
    """
    own = bench.study.generators[name]
    path = Path(
        f"results/{bench.name}/{'models' if own.kind == 'pretrained' else 'generators'}/{name}"
    )
    builders: dict[str, Callable | None] = {}
    true = (path / "model_index.json").is_file()
    if not true:
        path = bench.folder / "pipelines" / name
        if own.kind != "pretrained":
            trained = generator_settings(bench.study, name)
            build = train_generator.KINDS[own.kind][0]
            build(trained, train_generator.build_tokenizer(recipes_of(bench))).save_pretrained(path)
        elif own.is_folder and own.upscaler is None:
            path, true = Path(own.model), True
        else:
            models = {str(path): own.model} | (
                {str(path / "upscaler"): own.upscaler.model} if own.upscaler else {}
            )
            builders = {place: _builder(model) for place, model in models.items()}
            if None in builders.values():
                return None
    with stand_ins.in_place(builders, bench.device):
        start = machine.clock(bench.device)
        return (
            pipelines.load(str(path), settings["sampling"], bench.device),
            true,
            machine.clock(bench.device) - start,
        )


def recipes_of(bench: Bench) -> list[str]:
    """Texts of the first class names."""
    return bench.classes["name"].head(10).tolist()


def generate_images(bench: Bench) -> Iterator[Timed]:
    """Of each generator: a batch as a job makes it, with guidance where it is made with any;
    encoding and writing too.
    """
    for name in bench.study.generators:
        source = _source_of(bench.study, name)
        if source is None:
            continue
        shard = shard_names(bench.study, source)[0]
        settings = generation_settings(bench.study, source, shard)
        scales = list(bench.study.sources[source].images)
        scale = next((own for own in scales if own > 1), scales[0])
        sampling = settings["sampling"]
        sampling["steps"] = min(sampling["steps"], bench.steps or sampling["steps"])
        if sampling.get("upscaler"):
            sampling["upscaler"]["steps"] = min(
                sampling["upscaler"]["steps"], bench.steps or sampling["upscaler"]["steps"]
            )
        free(bench.device)
        kind = generators.kind_of(bench.study.generators[name].model_dump())
        try:
            loaded = _pipeline(bench, name, settings)
        except torch.OutOfMemoryError:
            yield Timed(
                "generate",
                kind,
                name,
                {},
                0,
                note="its weights do not fit into the memory of this GPU",
            )
            continue
        if loaded is None:
            yield Timed(
                "generate",
                kind,
                name,
                {},
                0,
                note=f"not on disk, and nothing stands in for it: snakemake results/{bench.name}/models/{name}",
            )
            continue
        pipeline, true, start = loaded
        yield Timed(
            "generate",
            kind,
            f"{name}, loaded",
            {"load": 1},
            start,
            note="" if true else "random weights",
        )
        yield from fitting(
            min(generate.batch_size(settings), bench.largest),
            partial(_images, bench, pipeline, settings, scale, kind, name, true),
            bench.device,
        )
        del pipeline, loaded


def _images(
    bench: Bench,
    pipeline,
    settings: dict,
    scale: float,
    kind: str,
    name: str,
    true: bool,
    batch: int,
) -> list[Timed]:
    sampling = settings["sampling"] | {"batch_size": batch}
    pool = pd.DataFrame({"class_id": range(len(bench.classes.head(10))), "text": recipes_of(bench)})

    def work(steps: int) -> None:
        own = settings | {
            "guidance": {f"{scale:g}": (0, batch)},
            "sampling": sampling | {"steps": steps},
        }
        folder = bench.folder / "made"
        state = partial_shards.Stretches(folder / "state", str(steps), generate.storage_of(own))
        # Noise may come out blank, and would be made again and again.
        with patch.object(codec, "is_blank", lambda pixels: False):
            shards.write(
                folder / "00000.tar",
                generate.samples(pipeline, "timed", own, pool, bench.classes["name"], state),
                generate.storage_of(own),
            )
        shutil.rmtree(folder)

    steps = sampling["steps"]
    seconds = seconds_of(partial(work, steps), bench, partial(work, min(2, steps)))
    planned = bench.study.generators[name].model_dump()
    planned |= {"steps": steps, "upscaler": sampling.get("upscaler")}
    tflop = batch * generators.image_flops(planned, bench.study.image_size, scale) / 1e12
    told = f"batches of {batch}, {steps} steps, guidance {scale:g}"
    return [
        Timed(
            "generate",
            kind,
            f"{name}, {told}",
            {"image": batch, "tflop": tflop},
            seconds,
            note="" if true else "random weights",
        )
    ]
