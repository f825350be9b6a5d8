"""Compare images of a generator in float32 and in a lower precision, before millions are generated.

    python -m scripts.compare_precision --study studies/imagenet.yaml \\
        --source sd_class_names --guidance 2

Both precisions sample the first images of a source from the same texts and seeds. The command
prints the differences of FID and recognizability, the generator's precision minus float32, with 95
% intervals of a paired bootstrap over images (our choice). Finished images are kept in the folder:
run the command again to resume.
"""

import argparse
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

import pandas as pd
import torch

from synscale.data import shards
from synscale.evaluation import image_set_metrics, reference
from synscale.evaluation.paired_bootstrap import (
    RESAMPLES,
    frechet_distance,
    paired_bootstrap,
    recognizability,
)
from synscale.evaluation.reference import Reference
from synscale.models import checksums, generation, pipelines
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.study import class_table
from synscale.study.load import StudyError, load_study
from synscale.study.models import Study
from synscale.training import checkpoint, partial_shards, stream
from synscale.workflow.paths import (
    evaluation_file,
    pipeline_folder,
    prompts_file,
    reference_folder,
    reference_run,
)
from synscale.workflow.settings import as_json
from synscale.workflow.settings.generation import GenerationSettings, generation_settings
from synscale.workflow.shards import shard_names, synthetic_sources


@dataclass(frozen=True)
class Paths:
    """Files that the comparison reads: results of the workflow."""

    pipeline: str
    prompts: str
    real: str
    reference: str

    def missing(self) -> list[str]:
        """Return the paths that do not exist."""
        return [path for path in asdict(self).values() if not Path(path).exists()]


def paths_of(name: str, study: Study, source: str, shard: str) -> Paths:
    """Return the results of a study that a comparison of a source reads.

    Parameters
    ----------
    name : str
        Name of the study.
    study : Study
    source : str
    shard : str
        Shard of the source that holds its first images.

    Returns
    -------
    Paths
    """
    return Paths(
        pipeline_folder(study, source),
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
        names = ", ".join(known)
        raise SystemExit(f"--source {source}: no synthetic source with classes; choose of {names}")
    row, least = study.sources[source], 2 * class_table.count(study.classes)
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


def sampled(
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
    revision = pipelines.revision(paths.pipeline)
    identity = as_json([settings, revision, texts, names.tolist(), device.type])
    tar = folder / f"{precision}-{checkpoint.digest(identity)}.tar"
    if not shards.manifest_path(tar).exists():
        print(f"{precision}: sampling", flush=True)
        pipeline = pipelines.load(paths.pipeline, settings.sampling, device, settings.guidance)
        partial = folder / f"{precision}.state"
        state = partial_shards.PartialShards(partial, identity, settings.storage)
        pool = pd.read_parquet(prompts)
        shard = generation.ShardGeneration(
            pipeline, revision, settings, pool, names, state, state.counts()
        )
        shards.write(tar, shard.samples(), settings.storage)
        checkpoint.discard(folder / f"{precision}.state")
    return str(tar)


def _reference(study: Study, folder: str, device: torch.device) -> Reference:
    run = reference_run(study)
    path = f"{folder}/{run.name}.safetensors" if run else folder
    return (reference.trained if run else reference.pretrained)(path, device)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = cli.parser(__doc__, "source")
    parser.add_argument("--guidance", type=float, required=True, help="guidance scale")
    parser.add_argument("--images", type=int, default=2000, help="at least 2 of each class")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="of the bootstrap")
    parser.add_argument("--folder", type=Path, help="of images and comparison.json")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Compare the precisions of the generator of the source that the command line names."""
    args = _arguments(arguments)
    try:
        study = load_study(args.study)
    except StudyError as error:
        raise SystemExit(str(error)) from None
    settings = settings_of(study, args.source, args.guidance, args.images)
    name = Path(args.study).stem
    [shard] = shard_names(study, args.source, 1, args.guidance)
    paths = paths_of(name, study, args.source, shard)
    if missing := paths.missing():
        raise SystemExit(f"missing results; generate them: snakemake {' '.join(missing)}")

    device = deterministic(args.threads)
    folder = args.folder or Path(f".state/{name}/precision/{args.source}")
    names = class_table.read(study.classes)["name"]
    low = settings.sampling.precision
    try:
        tars = [sampled(settings, p, paths, names, folder, device) for p in ("float32", low)]
    except (checksums.WeightsError, pipelines.SamplerError) as error:
        raise SystemExit(f"{args.source}: {error}") from None
    judge = partial(_reference(study, paths.reference, device).judge, workers=args.threads - 1)
    exact, fast = (judge(stream.open_images([tar], args.guidance)) for tar in tars)
    real = image_set_metrics.gaussian(judge(stream.open_images([paths.real])).features)
    measures = {"fid": partial(frechet_distance, real), "recognizability": recognizability}
    found = {key: paired_bootstrap(m, exact, fast, args.resamples) for key, m in measures.items()}
    about = {"source": args.source, "guidance": args.guidance, "images": args.images}
    about |= {"precision": low, "resamples": args.resamples}
    differences = {key: asdict(value) for key, value in found.items()}
    write_json(folder / "comparison.json", about | differences)
    for key, value in found.items():
        print(
            f"{key}: float32 {value.float32:.5g}, {low} {value.low_precision:.5g}, difference "
            f"{value.difference:+.3g} [{value.interval_low:+.3g}, {value.interval_high:+.3g}]"
        )


if __name__ == "__main__":
    main()
