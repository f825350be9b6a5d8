"""Timings of prompts that models write: sentences of a class, and captions of a batch of images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from synscale.models import language_models, prompt_jobs
from synscale.study.models.recipes import ModelRecipe
from synscale.timing import machine, stand_ins_transformers
from synscale.timing.bench import Bench, Timed, fitting, free, seconds_of
from synscale.training import checkpoint
from synscale.workflow.settings.prompts import PromptSettings, prompt_settings

RANDOM = "random weights, and every text as long as it may be"


@dataclass(frozen=True)
class Job:
    """A rule whose model writes prompts.

    rule, kind : rule, and kind of its recipes
    stand_ins : models with random weights, by a pattern of their name
    load : callable that reads a model from a folder
    time : callable that times a loaded model
    """

    rule: str
    kind: str
    stand_ins: dict[str, Callable[[], stand_ins_transformers.Parts]]
    load: Callable
    time: Callable


def _load(bench: Bench, name: str, job: Job) -> tuple[object, str, float] | None:
    """Return the model of a recipe, a note, and the seconds of loading it.

    None if the model is not on disk and there is no stand-in.
    """
    recipe = bench.study.recipes[name]
    folder = f"results/{bench.name}/prompt_models/{name}"
    place = Path(recipe.model if recipe.is_folder else folder)
    on_disk = (place / "config.json").is_file()
    parts = {} if on_disk else stand_ins_transformers.of(recipe.model, job.stand_ins)
    if parts is None:
        return None
    free(bench.device)
    with stand_ins_transformers.instead(parts, bench.device):
        start = machine.clock(bench.device)
        if on_disk:
            language_models.identity(place)  # as the job begins
        model = job.load(place, bench.device)
        return model, "" if on_disk else RANDOM, machine.clock(bench.device) - start


def _recipes(bench: Bench, kind: str) -> dict[str, ModelRecipe]:
    """Return one recipe of each model."""
    recipes = bench.study.recipes.items()
    names = {recipe.model: name for name, recipe in reversed(recipes) if recipe.kind == kind}
    return {name: bench.study.recipes[name] for name in names.values()}  # type: ignore[misc]


def _timings(bench: Bench, job: Job) -> Iterator[Timed]:
    recipes = _recipes(bench, job.kind)
    if not recipes:
        note = f"not timed: the study has no recipe of kind {job.kind}"
        yield Timed(job.rule, "", "", {}, 0, note=note)
    for name in recipes:
        try:
            loaded = _load(bench, name, job)
        except torch.OutOfMemoryError:
            note = "its weights do not fit into the memory of this GPU"
            yield Timed(job.rule, "", name, {}, 0, note=note)
            continue
        if loaded is None:
            target = f"results/{bench.name}/prompt_models/{name}"
            note = f"not on disk, and there is no stand-in; fetch it: snakemake {target}"
            yield Timed(job.rule, "", name, {}, 0, note=note)
            continue
        model, note, seconds = loaded
        yield Timed(job.rule, "", f"{name}, loaded", {"load": 1}, seconds, note=note)
        yield from job.time(bench, name, model, note)
        del model, loaded


def _with(settings: PromptSettings, **keys) -> PromptSettings:
    """Return settings with other keys of the recipe."""
    return replace(settings, recipe=settings.recipe.model_copy(update=keys))


def _state(bench: Bench, name: str) -> tuple[checkpoint.TrainingCheckpoint, prompt_jobs.TextRows]:
    texts = prompt_jobs.TextRows()
    return checkpoint.TrainingCheckpoint(bench.folder / "texts", name, {"texts": texts}), texts


def _sentences(bench: Bench, name: str, writer: language_models.Writer, note: str) -> list[Timed]:
    settings = prompt_settings(bench.study, name)
    recipe = settings.recipe

    def time(batch: int) -> list[Timed]:
        batched = _with(settings, batch_size=batch)
        short = recipe.model_copy(update={"max_tokens": min(2, recipe.max_tokens)})

        def work() -> None:
            row = bench.classes.head(1)
            prompt_jobs.write_sentences(batched, row, writer, *_state(bench, name))

        def warm() -> None:
            writer.draw(short, 0, "warm", range(batch))

        title = f"{name}, {recipe.texts} sentences of a class in batches of {batch}"
        seconds = seconds_of(work, bench, warm)
        return [Timed("write_sentences", "", title, {"text": recipe.texts}, seconds, note=note)]

    return fitting(min(recipe.batch_size, bench.largest), time, bench.device)


def _captions(
    bench: Bench, name: str, captioner: language_models.Captioner, note: str
) -> list[Timed]:
    settings = prompt_settings(bench.study, name)
    recipe = settings.recipe

    def time(batch: int) -> list[Timed]:
        tar = bench.stored(batch).shards[0].tar

        def work(tokens: int = recipe.max_tokens) -> None:
            least = min(tokens, recipe.min_tokens)
            short = _with(settings, batch_size=batch, max_tokens=tokens, min_tokens=least)
            prompt_jobs.caption_images(short, tar, captioner, *_state(bench, name))

        title = f"{name}, batches of {batch}"
        seconds = seconds_of(work, bench, lambda: work(1))
        return [Timed("caption_images", "", title, {"image": batch}, seconds, note=note)]

    return fitting(min(recipe.batch_size, bench.largest), time, bench.device)


def write(bench: Bench) -> Iterator[Timed]:
    """Time the sentences of a class by each T5."""
    writers = stand_ins_transformers.WRITERS
    load = language_models.Writer
    return _timings(bench, Job("write_sentences", "word_to_sentence", writers, load, _sentences))


def caption(bench: Bench) -> Iterator[Timed]:
    """Time the captions of a batch of images by each BLIP-2."""
    captioners = stand_ins_transformers.CAPTIONERS
    load = language_models.Captioner
    return _timings(bench, Job("caption_images", "image_captions", captioners, load, _captions))
