"""Names of scores in figures and tables."""

NAMES = {name: name for name in ("recognizability", "diversity")}
NAMES |= {"fid": "FID", "lpips": "LPIPS", "precision": "precision", "recall": "recall"}
SCORES = tuple(NAMES)  # those of every study
MEASURES = {"frechet_distance": "Fréchet distance", "kernel_distance": "kernel distance"}
MEASURES |= {"cmmd": "CMMD"}
FEATURES = {"reference": "reference", "dinov2": "DINOv2", "clip": "CLIP"}


def score_name(score: str) -> str:
    """Return the name of a score, with the feature space of an additional measure.

    Parameters
    ----------
    score : str
        Column of a table of scores.
    """
    if score in NAMES:
        return NAMES[score]
    measure, _, feature = score.rpartition("_")
    return f"{MEASURES.get(measure, measure)} ({FEATURES[feature]})"
