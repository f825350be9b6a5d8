"""Facts about selected images for captions: how they are selected, and by which model."""

from collections.abc import Iterator

from synscale.report.names import counted, display_name, escape_rst, join_words
from synscale.study.models import Study, resolve_mixture
from synscale.workflow.paths import selecting_run
from synscale.workflow.shards import images_per_shard, is_real


def _sources(part: dict | list) -> Iterator[str]:
    """Yield every name under a key `source` in a part of a study."""
    for key, value in part.items() if isinstance(part, dict) else ((None, row) for row in part):
        if key == "source":
            yield value
        elif isinstance(value, (dict, list)):
            yield from _sources(value)


def _model(study: Study, source: str) -> str:
    """Return the model that selects, with the real images that it is trained on."""
    kind = "CLIP model" if study.sources[source].clip else "classifier"
    run = selecting_run(study, source)
    if run is None:
        return f"a pretrained {kind}"
    parts = resolve_mixture(study.sources, run.source, run.guidance, run.size, run.seed)
    real = sum(part.images for part in parts if is_real(study.sources[part.source]))
    return f"a {kind} that is trained on {counted(real, 'real image')}"


def selections(study: Study, part: dict) -> str:
    """Return how each selected curve of a figure is selected; empty without one.

    Parameters
    ----------
    study : Study
    part : dict
        Keys of the figure or table.
    """
    texts = []
    for name in dict.fromkeys(_sources(part)):
        row = study.sources[name]
        if row.kind != "selected":
            continue
        shard = images_per_shard(study, row.source)
        texts.append(
            f"{escape_rst(display_name(row.label or name))}: {row.per_window(shard)} of each "
            f"{row.window or shard:,} images by {escape_rst(display_name(row.by))}, with "
            f"{_model(study, name)}"
        )
    return join_words(texts)
