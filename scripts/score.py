"""Score one source, at each of its guidance scales: can a classifier of real images recognize it,
how diverse is it, how near to real?

Recognizability: classify the synthetic images with a classifier trained on real ones; F1 of each
class; mean over classes (paper, as two public notes on its full text report it). Diversity:
standard deviation, within a class, of the features that the same classifier's last layer reads;
mean over the dimensions (ours: the paper's reduction is not known), then mean over classes.
`diversity_total` is the root of the summed variance instead. FID, precision and recall against the
study's evaluation set, and LPIPS between images of a class: `lib/fidelity.py`. The source `real` is
that evaluation set, so it has no distance to it: null. Which classifier, how many images and which
evaluation set: the study's `scores`.
"""

from synscale.runtime.torch_setup import deterministic

import numpy as np

from synscale.evaluation import image_set_metrics, reference
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.training import stream
from synscale.workflow.settings.evaluation import score_settings


def scores(predicted: np.ndarray, features: np.ndarray, labels: np.ndarray) -> dict:
    """Scores of one set. predicted (N,), features (N, width), labels (N,): the class that each
    image was meant to show.
    """
    classes = np.unique(labels)
    # By hand: scikit-learn, whose f1_score this is, takes longer to import than a small set to
    # score.
    f1 = [
        2
        * np.sum((predicted == c) & (labels == c))
        / (np.sum(predicted == c) + np.sum(labels == c))
        for c in classes
    ]
    deviation = [features[labels == c].std(0) for c in classes]
    per_class = [
        {
            "class_id": int(c),
            "recognizability": float(f),
            "diversity": float(d.mean()),
            "diversity_total": float(np.sqrt((d**2).sum())),
        }
        for c, f, d in zip(classes, f1, deviation, strict=True)
    ]
    means = {
        key: float(np.mean([row[key] for row in per_class]))
        for key in ("recognizability", "diversity", "diversity_total")
    }
    return {"images": len(labels), **means, "per_class": per_class}


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "source")
    parser.add_argument("--images", required=True, nargs="+", help="tars of the source, in order")
    parser.add_argument(
        "--real",
        required=True,
        help="tar of the evaluation set that FID, precision and recall compare with",
    )
    parser.add_argument(
        "--models",
        required=True,
        help="folder of the batch that holds the reference classifier, or of a released one",
    )
    parser.add_argument(
        "--output", required=True, help="JSON: a list, an entry for each guidance scale"
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, score_settings)

    device, workers, own = deterministic(args.threads), args.threads - 1, settings["reference"]
    judge = (
        reference.trained(f"{args.models}/{own}.safetensors", device)
        if isinstance(own, str)
        else reference.pretrained(args.models, device)
    ).judge
    real = (
        None
        if settings["guidance"] == [None]
        else image_set_metrics.Real(
            judge(stream.open_images([args.real]), workers).features, device
        )
    )
    entries = []
    for scale in settings["guidance"]:
        found = judge(stream.open_images(args.images, scale, settings["images"]), workers)
        near = (
            dict.fromkeys(("fid", "precision", "recall"))
            if scale is None
            else real.compared(found.features)
        )
        rest = {"lpips": found.lpips} | scores(
            found.predicted, found.features.numpy(), found.class_ids
        )
        entries.append({"source": settings["source"], "guidance": scale} | near | rest)
    write_json(args.output, entries)


if __name__ == "__main__":
    main()
