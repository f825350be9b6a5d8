"""Compare images of a generator in float32 and in a lower precision.

Both precisions sample the first images of a source from the same texts and seeds. The differences
of FID and recognizability have 95 % intervals of a paired bootstrap over images (our choice).
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from synscale.data import shards
from synscale.evaluation import image_set_metrics
from synscale.evaluation.paired_bootstrap import (
    Difference,
    frechet_distance,
    paired_bootstrap,
    recognizability,
)
from synscale.evaluation.reference import Reference
from synscale.models import checksums, generation, pipeline_files, pipelines
from synscale.study import class_table
from synscale.study.models import Study
from synscale.training import checkpoint, partial_shards, stream
from synscale.workflow.paths import (
    evaluation_file,
    pipeline_folders,
    prompts_file,
    reference_folder,
)
from synscale.workflow.settings import as_json
from synscale.workflow.settings.generation import GenerationSettings, generation_settings
from synscale.workflow.shards import shard_names, synthetic_sources


@dataclass(frozen=True)
class Paths:
    """Files that the comparison reads: results of the workflow."""

    pipeline: list[str]
    prompts: str
    real: str
    reference: str

    def missing(self) -> list[str]:
        """Return the paths that do not exist."""
        paths = [*self.pipeline, self.prompts, self.real, self.reference]
        return [path for path in paths if not Path(path).exists()]


def paths_of(study: Study, source: str, shard: str) -> Paths:
    """Return the results of a study that a comparison of a source reads.

    Parameters
    ----------
    study : Study
    source : str
    shard : str
        Shard of the source that has its first images.

    Returns
    -------
    Paths
    """
    return Paths(
        pipeline_folders(study, source),
        prompts_file(study, source, shard),
        evaluation_file(study, study.scores.evaluation),
        reference_folder(study),
    )


def settings_of(study: Study, source: str, scale: float, images: int) -> GenerationSettings:
    """Return the settings of a job that generates the first images at one guidance scale.

    Parameters
    ----------
    study : Study
    source : str
    scale : float
        Guidance scale.
    images : int

    Returns
    -------
    GenerationSettings

    Raises
    ------
    SystemExit
        If the source or the number of images is of no use, or its generator has float32.
    """
    if source not in (known := synthetic_sources(study)):
        problem = "no synthetic source with classes"
        raise SystemExit(f"--source {source}: {problem}; choose of {', '.join(known)}")
    row = study.sources[source]
    least = 2 * class_table.count(study.classes)
    if images < least:
        raise SystemExit(f"--images {images}: too few (expected 2 of each class, {least} or more)")
    if row.images.get(scale, 0) < images:
        raise SystemExit(
            f"--guidance {scale:g}: {source} has {row.images.get(scale, 0)} images at this scale "
            f"(expected at least {images}); choose of {', '.join(f'{s:g}' for s in row.images)}"
        )
    [last] = shard_names(study, source, 1, scale)
    settings = generation_settings(study, source, last)
    if settings.sampling.precision == "float32":
        raise SystemExit(f"generators.{row.generator}: precision is float32; nothing to compare")
    return replace(settings, guidance={scale: (0, images)})


def sample(
    settings: GenerationSettings,
    precision: str,
    paths: Paths,
    names: pd.Series,
    folder: Path,
    device: torch.device,
) -> str:
    """Generate the images in a precision; images of an earlier attempt are used again.

    Parameters
    ----------
    settings : GenerationSettings
        Settings of the job.
    precision : {"float32", "float16", "bfloat16"}
    paths : Paths
    names : Series
        Name of each class.
    folder : Path
        Folder that keeps the images.
    device : torch.device

    Returns
    -------
    str
        Tar of the images.
    """
    sampling = settings.sampling.model_copy(update={"precision": precision})
    settings = replace(settings, sampling=sampling)
    prompts = Path(paths.prompts)
    texts = checksums.hashes(prompts.parent, [prompts.name])
    revision = pipeline_files.revision(*paths.pipeline)
    identity = as_json([settings, revision, texts, names.tolist(), device.type])
    tar = folder / f"{precision}-{checkpoint.digest(identity)}.tar"
    if not shards.manifest_path(tar).exists():
        print(f"{precision}: sampling", flush=True)
        inputs = settings.sampling, device, settings.guidance
        pipeline = pipelines.load(paths.pipeline[0], *inputs, *paths.pipeline[1:])
        storage = settings.storage
        state = partial_shards.PartialShards(folder / f"{precision}.state", identity, storage)
        pool = pd.read_parquet(prompts)
        shard = generation.ShardGeneration(
            pipeline, revision, settings, pool, names, state, state.counts()
        )
        shards.write(tar, shard.samples(), storage)
        checkpoint.discard(folder / f"{precision}.state")
    return str(tar)


def compare(
    tars: list[str],
    scale: float,
    real_tar: str,
    reference: Reference,
    resamples: int,
    workers: int = 0,
) -> dict[str, Difference]:
    """Compare FID and recognizability of the same images in two precisions.

    Parameters
    ----------
    tars : list of str
        Images in float32 and in the lower precision.
    scale : float
        Guidance scale.
    real_tar : str
        Tar of the real images for FID.
    reference : Reference
    resamples : int
        Bootstrap samples of the images.
    workers : int
        Processes that read images.

    Returns
    -------
    dict of str to Difference
    """
    images = [stream.open_images([tar], scale) for tar in tars]
    exact, fast = (reference.evaluate(part, workers) for part in images)
    real = reference.evaluate(stream.open_images([real_tar]), workers)
    fid = partial(frechet_distance, image_set_metrics.gaussian_statistics(real.features))
    return {
        "fid": paired_bootstrap(fid, exact, fast, resamples),
        "recognizability": paired_bootstrap(recognizability, exact, fast, resamples),
    }
