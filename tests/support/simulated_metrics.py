"""Metrics and scores of the digits study that follow known laws."""

import numpy as np

from synscale.workflow.runs import Run

FAR = ("sketch", "rendition", "adversarial")
CLASSES = 10


def exponent(run: Run, evaluation: str, clip: bool) -> float:
    """Known to the tests: real images scale better, but for classifiers far from their training
    images.
    """
    if clip:
        return 0.40 if run.source == "real" else 0.35
    if evaluation in FAR:
        return 0.10 if run.source == "real" else 0.30
    return (
        0.60
        if run.source == "real"
        else {None: 0.3, 1.0: 0.3, 1.5: 0.3, 4.0: 0.1}.get(run.guidance, 0.3)
    )


def rows_of(run: Run, evaluations: list[str], clip: bool, random) -> list[dict]:
    """Metrics of one run; class 9 scales best. A mixture is 0.3 lower in log loss than its real
    images only, of CLIP a little more.
    """
    rows, limited = [], run.source.removeprefix("real_")
    for evaluation in evaluations:
        k, noise = exponent(run, evaluation, clip), random.normal(0, 0.01)
        level = 2 - k * np.log(run.size) + noise - (0.3 if limited != run.source else 0)
        level = 2 - 0.6 * np.log(int(limited)) + noise - 0.3 if limited.isdigit() else level
        columns = {
            key: getattr(run, key) for key in ("source", "guidance", "architecture", "size", "seed")
        } | {"evaluation": evaluation, "images": 100}
        more = {"logit_scale": 20.0} if clip else {}
        for class_id in [None, *range(CLASSES)]:
            steeper = 0 if class_id is None else 0.02 * (class_id - 4.5)
            loss = np.exp(level - steeper * np.log(run.size))
            rows.append(
                columns
                | {"class_id": class_id, "top1": np.exp(-loss), "cross_entropy": loss}
                | more
            )
    return rows


def score_entries(source: str, scales: list, random) -> list[dict]:
    near = (
        dict.fromkeys(("fid", "precision", "recall"))
        if scales == [None]
        else {"fid": 12.5, "precision": 0.9, "recall": 0.4}
    )
    per_class = [
        {
            "class_id": c,
            "recognizability": 0.8 + 0.02 * c,
            "diversity": random.uniform(0.4, 0.6),
            "diversity_total": 3.0,
        }
        for c in range(CLASSES)
    ]
    means = {"recognizability": 0.89, "diversity": 0.5, "diversity_total": 3.0}
    return [
        {"source": source, "guidance": scale}
        | near
        | {"lpips": 0.2, "images": 480}
        | means
        | {"per_class": per_class}
        for scale in scales
    ]
