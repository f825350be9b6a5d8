"""Timing of generators: steps of their training, and batches of images as a job generates them."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch

from synscale.data import codec, shards
from synscale.models import generation, pipelines, small_generators
from synscale.planning import flops as generators
from synscale.study.models import Study
from synscale.study.models.generators import TrainedGenerator
from synscale.timing import machine, stand_ins
from synscale.timing.bench import Bench, Timed, fitting, free, seconds_of
from synscale.training import generator_loop
from synscale.training.generator_texts import ImageTexts
from synscale.training.image_sets import InMemoryImages
from synscale.training.partial_shards import PartialShards
from synscale.workflow.settings.generation import (
    GenerationSettings,
    GeneratorTrainingSettings,
    Sampling,
    generation_settings,
    generator_settings,
)
from synscale.workflow.shards import shard_names


def train_generators(bench: Bench) -> Iterator[Timed]:
    """Time a training step of each generator that the workflow trains, without the start."""
    for name, generator in bench.study.generators.items():
        if not isinstance(generator, TrainedGenerator):
            continue
        settings = generator_settings(bench.study, name)
        training = generator.training
        count = 2 * training.batch_size
        pixels, class_ids = bench.stored(count).read(torch.arange(count))
        images = InMemoryImages([count], pixels, class_ids)
        captions = ImageTexts.of([["a photo", "a number"]] * count)
        work = partial(_train_generator, bench, settings, images, captions)
        few = min(5, training.iterations)
        more = max(few + 1, min(50, training.iterations))
        difference = seconds_of(partial(work, more), bench) - seconds_of(partial(work, few), bench)
        step = max(difference, 1e-9) / (more - few)
        forward = generators.generator_flops(generator, bench.study.image_size)
        units = {"step": 1, "tflop": 3 * forward * training.batch_size / 1e12}
        kind = generators.kind_of(generator)
        yield Timed("train_generator", kind, name, units, step, machine.peak(bench.device))


def _train_generator(
    bench: Bench,
    settings: GeneratorTrainingSettings,
    images: InMemoryImages,
    captions: ImageTexts,
    iterations: int,
) -> None:
    training = settings.generator.training.model_copy(update={"iterations": iterations})
    generator = settings.generator.model_copy(update={"training": training})
    shorter = replace(settings, generator=generator)
    folder = str(bench.folder / "generator")
    generator_loop.train(shorter, images, captions, folder, "timed", bench.device)


def _source_of(study: Study, generator: str) -> str | None:
    for name, source in study.sources.items():
        if source.kind != "synthetic":
            continue
        row = study.generators[source.generator]
        if generator in (source.generator, getattr(row, "base", None)):
            return name
    return None


def _builder(model: str) -> Callable | None:
    """Return what builds a model of a folder, or a model of the size of one on the hub."""
    if model.startswith(("/", ".")):
        return partial(pipelines.DiffusionPipeline.from_pretrained, model, dtype=torch.float32)
    return stand_ins.of(model)


def _load_pipeline(
    bench: Bench, name: str, sampling: Sampling
) -> tuple[pipelines.Pipeline, bool, float] | None:
    """Return a pipeline, whether its weights are the true ones, and the seconds of loading.

    None if it is not on disk and there is no model of its size.
    """
    generator = bench.study.generators[name]
    folder = "models" if generator.kind == "pretrained" else "generators"
    path = Path(f"results/{bench.name}/{folder}/{name}")
    builders: dict[str, Callable | None] = {}
    is_true = (path / "model_index.json").is_file()
    if not is_true:
        path = bench.folder / "pipelines" / name
        if generator.kind != "pretrained":
            settings = generator_settings(bench.study, name)
            tokenizer = small_generators.build_tokenizer(class_texts(bench))
            small_generators.build(settings, tokenizer).save_pretrained(path)
        elif generator.is_folder and generator.upscaler is None:
            path = Path(generator.model)
            is_true = True
        else:
            builders[str(path)] = _builder(generator.model)
            if generator.upscaler:
                builders[str(path / "upscaler")] = _builder(generator.upscaler.model)
            if None in builders.values():
                return None
    with stand_ins.in_place(builders, bench.device):  # type: ignore[arg-type]
        start = machine.clock(bench.device)
        pipeline = pipelines.load(str(path), sampling, bench.device)
        return pipeline, is_true, machine.clock(bench.device) - start


def class_texts(bench: Bench) -> list[str]:
    """Return a text of each of the first classes."""
    return bench.classes["name"].head(10).tolist()


def _with_fewer_steps(sampling: Sampling, most: int | None) -> Sampling:
    """Return the settings with at most so many steps, in each of two stages."""
    if most is None:
        return sampling
    changes: dict = {"steps": min(sampling.steps, most)}
    if upscaler := sampling.upscaler:
        steps = min(upscaler.steps, most)
        changes["upscaler"] = upscaler.model_copy(update={"steps": steps})
    return sampling.model_copy(update=changes)


def generate_images(bench: Bench) -> Iterator[Timed]:
    """Time a batch of each generator, with guidance if the source has any, until it is written.

    A fine-tuned generator takes the time of its base.
    """
    for name, generator in bench.study.generators.items():
        if generator.kind == "finetuned":
            continue
        source = _source_of(bench.study, name)
        if source is None:
            continue
        settings = generation_settings(bench.study, source, shard_names(bench.study, source)[0])
        scales = list(bench.study.sources[source].images)  # type: ignore[arg-type]
        scale = next((other for other in scales if other > 1), scales[0])
        settings = replace(settings, sampling=_with_fewer_steps(settings.sampling, bench.steps))
        free(bench.device)
        timed = partial(Timed, "generate", generators.kind_of(generator))
        try:
            loaded = _load_pipeline(bench, name, settings.sampling)
        except torch.OutOfMemoryError:
            note = "its weights do not fit into the memory of this GPU"
            yield timed(name, {}, 0, note=note)
            continue
        if loaded is None:
            target = f"results/{bench.name}/models/{name}"
            note = f"not on disk, and there is no model of its size; run snakemake {target}"
            yield timed(name, {}, 0, note=note)
            continue
        pipeline, is_true, seconds = loaded
        timed = partial(timed, note="" if is_true else "random weights")
        yield timed(f"{name}, loaded", {"load": 1}, seconds)
        batch_size = min(settings.sampling.batch_size, bench.largest)
        work = partial(_time_batch, bench, pipeline, settings, scale, name, timed)
        yield from fitting(batch_size, work, bench.device)
        del pipeline, loaded, work


def _time_batch(
    bench: Bench,
    pipeline: pipelines.Pipeline,
    settings: GenerationSettings,
    scale: float,
    name: str,
    timed: Callable[..., Timed],
    batch_size: int,
) -> list[Timed]:
    texts = class_texts(bench)
    pool = pd.DataFrame({"class_id": range(len(texts)), "text": texts})
    steps = settings.sampling.steps

    def work(steps: int) -> None:
        changes = {"batch_size": batch_size, "steps": steps}
        sampling = settings.sampling.model_copy(update=changes)
        batch = replace(settings, guidance={scale: (0, batch_size)}, sampling=sampling)
        folder = bench.folder / "generated"
        partial_shards = PartialShards(folder / "state", str(steps), batch.storage)
        class_names = bench.classes["name"]
        shard = generation.ShardGeneration(
            pipeline, "timed", batch, pool, class_names, partial_shards, {}
        )
        # Noise may be blank, and would be sampled again and again.
        with patch.object(codec, "is_blank", lambda pixels: False):
            shards.write(folder / "00000.tar", shard.samples(), batch.storage)
        shutil.rmtree(folder)

    seconds = seconds_of(partial(work, steps), bench, partial(work, min(2, steps)))
    changes = {"steps": steps, "upscaler": settings.sampling.upscaler}
    generator = bench.study.generators[name].model_copy(update=changes)
    flops = generators.sampling_flops(generator, bench.study.image_size, scale)
    units = {"image": batch_size, "tflop": batch_size * flops / 1e12}
    what = f"{name}, batches of {batch_size}, {steps} steps, guidance {scale:g}"
    return [timed(what, units, seconds)]
