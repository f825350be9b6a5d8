"""Facts about the weights that classifiers start from, for captions."""

from collections.abc import Iterable

from synscale.report.names import counted, display_name, escape_rst, join_words
from synscale.study.models import Study, resolve_mixture
from synscale.study.models.starts import RunStart
from synscale.workflow.shards import is_real


def _run(study: Study, run: RunStart) -> str:
    """Return the run that an architecture starts from, with its images and the real ones of them.

    If that run has a start too, its start follows.
    """
    row = study.classifiers.architectures[run.architecture]
    guidance = "" if run.guidance is None else f" at guidance {run.guidance:g}"
    parts = resolve_mixture(study.sources, run.source, run.guidance, run.size, run.seed)
    real = sum(part.images for part in parts if is_real(study.sources[part.source]))
    images = f"{counted(run.size, 'image')} of {display_name(run.source)}{guidance}"
    text = f"{row.label}, trained on {images} ({real:,} real) with seed {run.seed}"
    return f"{text}, which starts from {_start(study, run.architecture)}" if row.start else text


def _start(study: Study, architecture: str) -> str:
    row = study.classifiers.architectures[architecture]
    if row.start_run:
        return _run(study, row.start_run)
    return f"released weights ({row.start.model})"


def starts(study: Study, architectures: Iterable[str]) -> str:
    """Return what architectures start from, and what is trained; empty if all start at random.

    Parameters
    ----------
    study : Study
    architectures : iterable of str
        Names of architectures, of classifiers or CLIP models.
    """
    texts = []
    for name in dict.fromkeys(architectures):
        row = study.classifiers.architectures.get(name)
        if row and row.start:
            what = "only the head is trained" if row.train == "head" else "all weights are trained"
            texts.append(escape_rst(f"{row.label} from {_start(study, name)}: {what}"))
    if not texts:
        return ""
    uncounted = "Sizes count neither images of a start nor those that a generator was trained on"
    return f"{join_words(texts)}. {uncounted}; intervals are given the start"
