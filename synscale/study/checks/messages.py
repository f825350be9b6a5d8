"""Parts of messages that several checks share."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

RELATIVE = "the path is relative to the folder that snakemake runs in"


def shorten(value) -> str:
    """Return the repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def suggest(name: str, known, otherwise: str) -> str:
    """Return a suggestion of the nearest known name, or else of another fix.

    Parameters
    ----------
    name : str
        Unknown name.
    known : iterable of str
        Known names.
    otherwise : str
        What to do if no name is near.
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise


def name_errors(key: str, names: str | Iterable[str], known, what: str) -> list[str]:
    """Return an error for each name that is not among the known ones.

    Parameters
    ----------
    key : str
        Key of the study that has the name.
    names : str or iterable of str
        One name or several.
    known : iterable of str
    what : str
        What the name is of, such as "recipe".
    """
    known_names = f"known: {', '.join(sorted(known)) or 'none'}"
    return [
        f"{key} = {name!r}: no such {what}; {suggest(name, known, known_names)}"
        for name in ([names] if isinstance(names, str) else names)
        if name not in known
    ]


def curve_errors(key: str, curves, sources) -> Iterator[str]:
    """Yield an error for each unknown source, and for each scale that a source does not have.

    Parameters
    ----------
    key : str
        Place of the curves in the study.
    curves : list of CurveSelection
    sources : dict of str to Source
    """
    for i, curve in enumerate(curves):
        yield from name_errors(f"{key}.{i}.source", curve.source, sources, "source")
        source = sources.get(curve.source)
        if source is None or curve.guidance == "all":
            continue
        where = f"{key}.{i}.guidance"
        if source.kind in ("real", "pairs", "images"):
            what = "images of a folder" if source.kind == "images" else "real images"
            yield f"{where} = {curve.guidance}: {what} have no guidance scale; remove the key"
            continue
        for scale in curve.guidance:
            if scale not in source.images:
                fix = f"add it to sources.{curve.source}.images"
                yield f"{where} = {scale}: {curve.source!r} has no images at this scale; {fix}"


def image_number_errors(key: str, images: int | None, split: str, training) -> Iterator[str]:
    """Yield an error if it is unknown on how many images of a set a model is trained, or too many.

    Parameters
    ----------
    key : str
        Key of the model.
    images : int or None
        Number of images; None is all of the set's part.
    split : str
        Name of the training set.
    training : dict of str to TrainingSet
    """
    part = training[split].part
    if not part or part[1] is None:
        if images is None:
            yield f"{key}.images: missing; give the number of images of {split} to train on"
    elif (images or 0) > part[1] - part[0]:
        fix = f"use at most {part[1] - part[0]}"
        where = f"data.training.{split}.part = {list(part)}"
        yield f"{key}.images = {images}: more than {where} has; {fix}"


def template_errors(key: str, templates: Sequence[str]) -> Iterator[str]:
    """Yield an error for each template that does not have {name} exactly once.

    Parameters
    ----------
    key : str
        Place of the templates in the study.
    templates : sequence of str
    """
    for i, text in enumerate(templates):
        if text.count("{name}") != 1 or text.replace("{name}", "").count("{"):
            yield f"{key}.{i} = {shorten(text)}: must contain {{name}} once and no other brace"


def template_file_errors(key: str, path: str | None, dataset: str) -> list[str]:
    """Return an error for each problem of the templates of a data set with other classes.

    Parameters
    ----------
    key : str
        Place of the file in the study.
    path : str or None
        The file.
    dataset : str
        Name of the data set.
    """
    content = "a YAML file, data set -> list of texts with {name} in them"
    if path is None:
        return [
            f"{key}: missing; a set with other classes needs templates for CLIP: "
            f"add a YAML file, {dataset} -> list of texts"
        ]
    if not Path(path).is_file():
        return [f"{key} = {path!r}: no such file; give {content}"]
    sets = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    texts = sets.get(dataset) if isinstance(sets, dict) else None
    if not texts or not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        return [f"{key} = {path!r}: no list of texts under {dataset}; add it"]
    return [f"{path}: {error}" for error in template_errors(dataset, texts)]


def architecture_errors(key: str, row, seen: int, size_key: str) -> Iterator[str]:
    """Yield an error for a patch or number of heads that does not fit an architecture.

    Parameters
    ----------
    key : str
        Key of the architecture.
    row : Architecture or ClipArchitecture
    seen : int
        Side of the model's input in pixels.
    size_key : str
        Key that sets `seen`.
    """
    if seen % row.patch_size:
        yield f"{key}.patch_size = {row.patch_size}: must divide {size_key} = {seen}"
    for prefix in ("", "text_") if hasattr(row, "text_width") else ("",):
        width, heads = getattr(row, f"{prefix}width"), getattr(row, f"{prefix}heads")
        if width % heads:
            yield f"{key}.{prefix}width = {width}: must be a multiple of {prefix}heads = {heads}"


def input_size_errors(key: str, seen: int, image_size: int) -> list[str]:
    """Return an error if models see more pixels than images are stored with.

    Parameters
    ----------
    key : str
        Section of the models.
    seen : int
        Pixels of a side that models see.
    image_size : int
        Pixels of a side of stored images.
    """
    if seen <= image_size:
        return []
    problem = f"larger than the {image_size} of stored images (image_size)"
    return [f"{key}.image_size = {seen}: {problem}"]
