"""Scores of a source: recognizability by a classifier of real images, diversity, distance to real.

Recognizability: F1 of each class from a classifier that is trained on real images; mean over
classes (paper, according to two public notes on its full text). Diversity: standard deviation,
within a class, of the inputs of the same classifier's last layer; mean over dimensions (our choice:
the paper's reduction is not known), then mean over classes. `diversity_total` is the root of the
summed variance instead. FID, precision and recall to the study's evaluation set, and LPIPS between
images of a class: `image_set_metrics`. The source `real` is that evaluation set, so these three are
null for it.
"""

from pathlib import Path

import numpy as np
import torch

from synscale.evaluation import reference
from synscale.evaluation.image_set_metrics import RealImages
from synscale.runtime.time_left import Stopwatch
from synscale.training import stream
from synscale.workflow.runs import Run
from synscale.workflow.settings.evaluation import ScoreSettings

NO_COMPARISON = dict.fromkeys(("fid", "precision", "recall"))


def class_scores(predicted: np.ndarray, features: np.ndarray, labels: np.ndarray) -> dict:
    """Return recognizability and diversity of a set of images, with a row for each class.

    Parameters
    ----------
    predicted : ndarray, shape (N,), int64
        Class that the reference predicts.
    features : ndarray, shape (N, width)
    labels : ndarray, shape (N,), int64
        Class that each image was generated for.

    Returns
    -------
    dict
        Number of images, means over classes, and `per_class`.
    """
    per_class = []
    for class_id in np.unique(labels):
        is_class = labels == class_id
        is_predicted = predicted == class_id
        # scikit-learn, whose f1_score this is, takes longer to import than a small set to score.
        f1 = 2 * np.sum(is_predicted & is_class) / (np.sum(is_predicted) + np.sum(is_class))
        deviation = features[is_class].std(0)
        row = {"class_id": int(class_id), "recognizability": float(f1)}
        row["diversity"] = float(deviation.mean())
        row["diversity_total"] = float(np.sqrt((deviation**2).sum()))
        per_class.append(row)
    keys = ("recognizability", "diversity", "diversity_total")
    means = {key: float(np.mean([row[key] for row in per_class])) for key in keys}
    return {"images": len(labels), **means, "per_class": per_class}


def load_reference(
    run: Run | None, folder: str | Path, device: torch.device
) -> reference.Reference:
    """Return the reference of a study.

    Parameters
    ----------
    run : Run or None
        Run that trains it; None if it is downloaded.
    folder : str or Path
        Folder of the run's group, or of the downloaded model.
    device : torch.device

    Returns
    -------
    Reference
    """
    if run is None:
        return reference.load_pretrained(folder, device)
    return reference.load_trained(Path(folder, f"{run.name}.safetensors"), device)


def score(
    settings: ScoreSettings,
    tars: list[str],
    real_tar: str,
    classifier: reference.Reference,
    workers: int = 0,
) -> list[dict]:
    """Score the images of a source at each of its guidance scales.

    Parameters
    ----------
    settings : ScoreSettings
    tars : list of str
        Tars of the source, in order.
    real_tar : str
        Tar of the evaluation set that FID, precision and recall compare with.
    classifier : Reference
    workers : int
        Processes that read images.

    Returns
    -------
    list of dict
        Scores at each guidance scale.
    """
    real = None
    if settings.images is not None:
        outputs = classifier.evaluate(stream.open_images([real_tar]), workers)
        real = RealImages(outputs.features, next(classifier.model.parameters()).device)
    entries = []
    stopwatch = Stopwatch(len(settings.guidance))
    for scale in settings.guidance:
        images = stream.open_images(tars, scale, settings.images)
        outputs = classifier.evaluate(images, workers)
        entry = {"source": settings.source, "guidance": scale}
        entry |= NO_COMPARISON if real is None else real.compare(outputs.features)
        entry["lpips"] = outputs.lpips
        features = outputs.features.numpy()
        entries.append(entry | class_scores(outputs.predicted, features, outputs.class_ids))
        left = stopwatch.left(len(entries))
        print(f"set {len(entries)} of {len(settings.guidance)} is scored, {left}", flush=True)
    return entries
