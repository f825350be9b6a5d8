"""Prompts that models write: the sentences of a class, and captions of a batch of images."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from scripts import caption_images, write_sentences
from synscale.models import language_models
from synscale.study.models import Study
from synscale.study.models.recipes import ModelRecipe
from synscale.timing import machine, stand_ins_transformers
from synscale.timing.bench import Bench, Timed, fitting, free, seconds_of
from synscale.training import checkpoint
from synscale.workflow.settings.prompts import prompt_settings

RANDOM = "random weights, and every text as long as it may be"


def _recipes(study: Study, kind: str) -> dict[str, ModelRecipe]:
    """One of each model."""
    found = {own.model: name for name, own in reversed(study.recipes.items()) if own.kind == kind}
    return {name: study.recipes[name] for name in found.values()}


def _loaded(
    bench: Bench, name: str, known: dict, read: Callable
) -> tuple[object, str, float] | None:
    """(what `read` makes of the model's folder, a note, seconds of it); None where the model is not
    on disk and nothing stands in for it.
    """
    own = bench.study.recipes[name]
    place = Path(own.model if own.is_folder else f"results/{bench.name}/prompt_models/{name}")
    true = (place / "config.json").is_file()
    parts = {} if true else stand_ins_transformers.of(own.model, known)
    if parts is None:
        return None
    free(bench.device)
    with stand_ins_transformers.instead(parts, bench.device):
        start = machine.clock(bench.device)
        if true:
            language_models.identity(place)  # as the job begins
        made = read(place, bench.device)
        return made, "" if true else RANDOM, machine.clock(bench.device) - start


def _each(
    bench: Bench, rule: str, kind: str, known: dict, read: Callable, work: Callable
) -> Iterator[Timed]:
    recipes = _recipes(bench.study, kind)
    if not recipes:
        yield Timed(rule, "", "", {}, 0, note=f"not timed: the study has no recipe of kind {kind}")
    for name in recipes:
        try:
            loaded = _loaded(bench, name, known, read)
        except torch.OutOfMemoryError:
            yield Timed(
                rule, "", name, {}, 0, note="its weights do not fit into the memory of this GPU"
            )
            continue
        if loaded is None:
            yield Timed(
                rule,
                "",
                name,
                {},
                0,
                note=f"not on disk, and nothing stands in for it: snakemake results/{bench.name}/prompt_models/{name}",
            )
            continue
        model, note, start = loaded
        yield Timed(rule, "", f"{name}, loaded", {"load": 1}, start, note=note)
        yield from work(bench, name, model, note)
        del model, loaded


def write(bench: Bench) -> Iterator[Timed]:
    """Of each T5: the sentences of a class."""
    yield from _each(
        bench,
        "write_sentences",
        "word_to_sentence",
        stand_ins_transformers.WRITERS,
        language_models.Writer,
        _sentences,
    )


def _sentences(bench: Bench, name: str, writer: language_models.Writer, note: str) -> list[Timed]:
    settings = prompt_settings(bench.study, name)

    def work() -> None:
        made = language_models.Made()
        write_sentences.write(
            settings,
            bench.classes.head(1),
            writer,
            checkpoint.TrainingCheckpoint(bench.folder / "sentences", name, {"made": made}),
            made,
        )

    def timed(batch: int) -> list[Timed]:
        settings["batch_size"] = batch
        short = partial(
            writer.draw,
            settings | {"max_tokens": min(2, settings["max_tokens"])},
            0,
            "warm",
            range(batch),
        )
        told = f"{name}, {settings['texts']} sentences of a class in batches of {batch}"
        return [
            Timed(
                "write_sentences",
                "",
                told,
                {"text": settings["texts"]},
                seconds_of(work, bench, short),
                note=note,
            )
        ]

    return fitting(min(settings["batch_size"], bench.largest), timed, bench.device)


def caption(bench: Bench) -> Iterator[Timed]:
    """Of each BLIP-2: a batch of images."""
    yield from _each(
        bench,
        "caption_images",
        "image_captions",
        stand_ins_transformers.CAPTIONERS,
        language_models.Captioner,
        _captions,
    )


def _captions(
    bench: Bench, name: str, captioner: language_models.Captioner, note: str
) -> list[Timed]:
    settings = prompt_settings(bench.study, name)

    def timed(batch: int) -> list[Timed]:
        own, tar = settings | {"batch_size": batch}, bench.stored(batch).shards[0].tar

        def work(tokens: int) -> None:
            made = language_models.Made()
            state = checkpoint.TrainingCheckpoint(bench.folder / "captions", name, {"made": made})
            caption_images.caption(
                own | {"max_tokens": tokens, "min_tokens": min(tokens, settings["min_tokens"])},
                tar,
                captioner,
                state,
                made,
            )

        most = settings["max_tokens"]
        return [
            Timed(
                "caption_images",
                "",
                f"{name}, batches of {batch}",
                {"image": batch},
                seconds_of(partial(work, most), bench, partial(work, 1)),
                note=note,
            )
        ]

    return fitting(min(settings["batch_size"], bench.largest), timed, bench.device)
