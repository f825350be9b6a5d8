"""Checks of sources of kind selected: their images, their windows and the model that selects."""

from collections.abc import Iterator

from synscale.study.checks.messages import name_errors
from synscale.study.checks.sources import count_images
from synscale.study.models import expand_curves, names_class


def check_selected_sources(sources, recipes) -> Iterator[str]:
    """Check that images are selected from an existing source whose images have a class."""
    for name, row in sources.items():
        if row.kind != "selected":
            continue
        key = f"sources.{name}"
        yield from name_errors(f"{key}.source", row.source, sources, "source")
        source = sources.get(row.source)
        if source is None:
            continue
        if source.kind not in ("synthetic", "images"):
            yield (
                f"{key}.source = {row.source!r}: a source of kind {source.kind} (expected "
                "synthetic or images); name another one"
            )
        elif not names_class(source, recipes):
            yield (
                f"{key}.source = {row.source!r}: its prompts name no class, but each class keeps "
                "the same fraction; name another source"
            )
        elif row.guidance not in count_images(source):
            scales = [f"{scale:g}" for scale in count_images(source) if scale is not None]
            yield (
                f"{key}.guidance = {row.guidance}: {row.source!r} has no images at it; its "
                f"guidance scales: {', '.join(scales) or 'none: remove the key'}"
            )


def check_windows(sources, images_per_shard) -> Iterator[str]:
    """Check that windows are parts of shards, and that they contain enough images."""
    for name, row in sources.items():
        source = sources.get(row.source) if row.kind == "selected" else None
        available = count_images(source).get(row.guidance) if source else None
        if available is None:
            continue  # reported by check_selected_sources
        key = f"sources.{name}"
        shard = source.images_per_shard or images_per_shard
        window = row.window or shard
        if shard % window:
            yield (
                f"{key}.window = {window}: does not divide the {shard} images of a shard of "
                f"{row.source!r}, which one job selects from; use a number that does"
            )
        elif not row.per_window(shard) or abs(row.keep * window - row.per_window(shard)) > 1e-6:
            yield (
                f"{key}.keep = {row.keep}: keeps {row.keep * window:g} images of a window of "
                f"{window} (expected a whole number from 1 on); change keep or window"
            )
        elif row.images > (most := row.selected_from(available, shard)):
            yield (
                f"{key}.images = {row.images}: more than the {most} that are selected from "
                f"{available} images in windows of {window} at keep {row.keep:g}; use {most} or "
                f"raise sources.{row.source}.images"
            )


def check_selecting_models(sources, scores, clip, experiments) -> Iterator[str]:
    """Check that a model selects, and that it was not trained on selected images."""
    for name, row in sources.items():
        if row.kind != "selected":
            continue
        key = f"sources.{name}"
        if row.by != "clip_score":
            if row.clip is not None:
                yield f"{key}.clip: not used by {row.by}; remove the key"
            model, where = scores.reference, "scores.reference"
        elif row.clip is None or clip is None:
            missing = f"{key}.clip" if clip else "clip"
            yield f"{key}.by = 'clip_score': no CLIP model ({missing} is missing); add it"
            continue
        else:
            model, where = row.clip, f"{key}.clip"
            if not any(
                trains_clip(experiment, model, sources, clip) for experiment in experiments.values()
            ):
                yield (
                    f"{where} = {model.model_dump()}: no experiment trains it; name a run that one "
                    "does"
                )
        trained_on = getattr(model, "source", None)
        if is_selected(trained_on, sources):
            yield (
                f"{where}.source = {trained_on!r}: selected images, so the model that selects "
                f"sources.{name} would depend on a selection; name a model of other images"
            )


def is_selected(source: str | None, sources) -> bool:
    """Whether some images of a source are selected.

    Parameters
    ----------
    source : str or None
        Name of the source.
    sources : dict of str to Source
    """
    row = sources.get(source)
    parts = [part.source for part in getattr(row, "parts", ())]
    return getattr(row, "kind", "") == "selected" or any(
        is_selected(part, sources) for part in parts
    )


def trains_clip(experiment, run, sources, clip) -> bool:
    """Whether an experiment trains a CLIP model.

    Parameters
    ----------
    experiment : Experiment
    run : ClipRun
    sources : dict of str to Source
    clip : Clip
    """
    return (
        run.architecture in clip.architectures
        and run.architecture in experiment.architectures
        and (run.source, None) in expand_curves(experiment.curves, sources)
        and run.size in experiment.sizes
        and run.seed in experiment.seeds
    )


CHECKS = [check_selected_sources, check_windows, check_selecting_models]
