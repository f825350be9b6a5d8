"""Shards of selected images: scores of a shard, and a manifest of the images that it keeps."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from synscale.data.shards import ShardError, manifest_path
from synscale.evaluation import reference, selection
from synscale.evaluation.scores import load_reference
from synscale.runtime.atomic import atomic_write
from synscale.training import stream
from synscale.workflow.runs import Run
from synscale.workflow.settings.selection import SelectionSettings

BATCH = 256


@torch.inference_mode()
def classify(
    classifier: reference.Reference, images: stream.Images, workers: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probability of the class of each image, and its features.

    Parameters
    ----------
    classifier : Reference
    images : Images
    workers : int
        Processes that read images.

    Returns
    -------
    probabilities : ndarray, shape (N,)
    features : ndarray, shape (N, width)
        Inputs of the last layer.
    """
    device = next(classifier.model.parameters()).device
    size = stream.evaluation_batch_size(BATCH, device, images)
    probabilities, features = [], []
    for batch in stream.iter_sequential(images, size, workers=workers):
        final = classifier.model.forward_features(classifier.prepare(batch.images.to(device)))
        logits = classifier.model.forward_head(final).float().cpu()
        probabilities.append(logits.softmax(1).gather(1, batch.class_ids[:, None])[:, 0])
        features.append(classifier.model.forward_head(final, pre_logits=True).float().cpu())
    return torch.cat(probabilities).numpy(), torch.cat(features).numpy()


@torch.inference_mode()
def clip_scores(
    path: Path, images: stream.Images, texts: list[str], device: torch.device, workers: int = 0
) -> np.ndarray:
    """Compute the cosine of each image and its text in a CLIP model.

    Parameters
    ----------
    path : Path
        File of the model.
    images : Images
    texts : list of str
        Text of each image.
    device : torch.device
    workers : int
        Processes that read images.

    Returns
    -------
    ndarray, shape (N,)
    """
    from synscale.models import clip  # open_clip: other selections need not wait for it

    model = clip.load(path, device)
    size = stream.evaluation_batch_size(BATCH, device, images)
    transform = partial(clip.resized, size=model.image_size)
    cosines = []
    for batch in stream.iter_sequential(images, size, transform, workers):
        tokens = model.tokenize([texts[place] for place in batch.positions.tolist()])
        encoded = model.model.encode_text(tokens.to(device), normalize=True).cpu()
        cosines.append((clip.image_features(model, batch.images) * encoded).sum(1))
    return torch.cat(cosines).numpy()


def _rows(tar: str, guidance: float | None, count: int) -> pd.DataFrame:
    """Return the first rows of a manifest at a guidance scale."""
    manifest = pd.read_parquet(manifest_path(tar))
    if guidance is not None:
        manifest = manifest[manifest["guidance"] == guidance].drop(columns="guidance")
    if len(manifest) < count:
        raise ShardError(
            f"{tar}: too few images at guidance {guidance} ({len(manifest)}, expected {count}); "
            "remove both files to create them again"
        )
    return manifest.iloc[:count].reset_index(drop=True)


def selected_rows(
    settings: SelectionSettings,
    tar: str,
    folder: str,
    device: torch.device,
    workers: int = 0,
) -> pd.DataFrame:
    """Return the manifest of the images that are selected from a shard.

    Parameters
    ----------
    settings : SelectionSettings
    tar : str
        Shard of generated images.
    folder : str
        Folder of the model that selects.
    device : torch.device
    workers : int
        Processes that read images.

    Returns
    -------
    DataFrame
        Rows of the shard's manifest, with `score`, and with `source_image`, the former number.
    """
    windows = -(-settings.images // settings.per_window)
    count = windows * settings.window
    rows = _rows(tar, settings.guidance, count)
    images = stream.open_images([tar], settings.guidance, count)
    run = settings.model if isinstance(settings.model, Run) else None
    if settings.by == "clip_score":
        assert run is not None  # as the checks of a study require
        path = Path(folder, f"{run.name}.safetensors")
        scores = clip_scores(path, images, rows["prompt"].tolist(), device, workers)
        pick: selection.Picker = selection.highest(scores)
    else:
        classifier = load_reference(run, folder, device)
        scores, features = classify(classifier, images, workers)
        pick = selection.highest(scores)
        if settings.by == "diversity":
            pick = selection.Farthest(features)
            scores = pick.scores  # filled by the selection
    class_ids = rows["class_id"].to_numpy(np.int64)
    numbers = selection.select(class_ids, settings.window, settings.per_window, pick)
    numbers = numbers[: settings.images]
    rows = rows.iloc[numbers].rename(columns={"image": "source_image"})
    first = settings.start
    rows.insert(0, "image", np.arange(first, first + len(rows)))
    return rows.assign(score=scores[numbers])


def write(rows: pd.DataFrame, tar: str, output: str) -> None:
    """Write the manifest of selected images, next to a link to the shard that has them.

    Parameters
    ----------
    rows : DataFrame
    tar : str
        Shard that the images are selected from.
    output : str
        Path of the link; the manifest has the suffix .parquet.
    """
    target = os.path.relpath(tar, Path(output).parent)
    with atomic_write(output, manifest_path(output)) as (link, manifest):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        rows.to_parquet(manifest, index=False)
