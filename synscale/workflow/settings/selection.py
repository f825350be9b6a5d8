"""Settings of the jobs that select images."""

from dataclasses import dataclass

from synscale.study.models import Study
from synscale.workflow import targets
from synscale.workflow.paths import selecting_run
from synscale.workflow.runs import Run
from synscale.workflow.settings import Settings
from synscale.workflow.settings.evaluation import reference_settings
from synscale.workflow.settings.generation import HubWeights
from synscale.workflow.shards import images_per_shard


@dataclass(frozen=True)
class SelectionSettings(Settings):
    """A shard of selected images.

    Parameters
    ----------
    source : str
        Source that the images are selected from.
    guidance : float or None
        None for images without one.
    by : str
        Score: `recognizability`, `diversity` or `clip_score`.
    window : int
        Consecutive images that are compared.
    per_window : int
        Images that each window keeps.
    start : int
        Selected images in the shards before.
    images : int
        Selected images in this shard.
    model : Run or HubWeights
        Classifier or CLIP model that selects.
    """

    source: str
    guidance: float | None
    by: str
    window: int
    per_window: int
    start: int
    images: int
    model: Run | HubWeights


def selection_settings(study: Study, source: str, shard: str) -> SelectionSettings:
    """Return the settings of a shard of selected images.

    Parameters
    ----------
    study : Study
    source : str
        Source of kind selected.
    shard : str
        Name of the shard.
    """
    row = targets.selected(study, source)
    generated = images_per_shard(study, row.source)
    size = images_per_shard(study, source)
    start = int(shard) * size
    return SelectionSettings(
        source=row.source,
        guidance=row.guidance,
        by=row.by,
        window=row.window or generated,
        per_window=row.per_window(generated),
        start=start,
        images=min(size, row.images - start),
        model=selecting_run(study, source) or reference_settings(study),
    )
