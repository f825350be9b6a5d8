r"""Compare images of a generator in float32 and in a lower precision.

    python -m scripts.compare_precision --study studies/imagenet.yaml \
        --source sd_class_names --guidance 2

The command prints the differences of FID and recognizability, the generator's precision minus
float32 (`synscale/evaluation/precision_comparison.py`). Finished images are kept in the folder: run
the command again to resume.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from synscale.runtime.torch_setup import deterministic

from synscale.evaluation.paired_bootstrap import RESAMPLES
from synscale.evaluation.precision_comparison import compare, paths_of, sample, settings_of
from synscale.evaluation.scores import load_reference
from synscale.models import checksums, pipelines
from synscale.runtime import cli
from synscale.runtime.atomic import write_json
from synscale.study import class_table
from synscale.study.load import StudyError, load_study
from synscale.workflow.paths import reference_run
from synscale.workflow.shards import shard_names


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = cli.parser(__doc__, "source")
    options.add_argument(
        "--guidance", type=float, required=True, help="guidance scale of the source"
    )
    options.add_argument(
        "--images", type=int, default=2000, help="number of images, at least 2 of each class"
    )
    options.add_argument(
        "--resamples", type=int, default=RESAMPLES, help="resamples of the bootstrap"
    )
    options.add_argument("--folder", type=Path, help="folder of the images and of comparison.json")
    options.add_argument("--threads", type=int, default=1, help="threads of torch and of readers")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Compare the precisions of the generator of the source that the command line names."""
    args = parser().parse_args(arguments)
    try:
        study = load_study(args.study)
    except StudyError as error:
        raise SystemExit(str(error)) from None
    settings = settings_of(study, args.source, args.guidance, args.images)
    [shard] = shard_names(study, args.source, 1, args.guidance)
    paths = paths_of(study, args.source, shard)
    if missing := paths.missing():
        raise SystemExit(f"missing results; generate them: snakemake {' '.join(missing)}")

    device = deterministic(args.threads)
    folder = args.folder or Path(f".state/{study.name}/precision/{args.source}")
    names = class_table.read(study.classes)["name"]
    low = settings.sampling.precision
    try:
        tars = [sample(settings, p, paths, names, folder, device) for p in ("float32", low)]
    except (checksums.WeightsError, pipelines.SamplerError) as error:
        raise SystemExit(f"{args.source}: {error}") from None
    reference = load_reference(reference_run(study), paths.reference, device)
    workers = args.threads - 1
    options = (args.guidance, paths.real, reference, args.resamples, workers)
    differences = compare(tars, *options)
    about = {"source": args.source, "guidance": args.guidance, "images": args.images}
    about |= {"precision": low, "resamples": args.resamples}
    rows = {name: asdict(value) for name, value in differences.items()}
    write_json(folder / "comparison.json", about | rows)
    for name, value in differences.items():
        print(
            f"{name}: float32 {value.float32:.5g}, {low} {value.low_precision:.5g}, difference "
            f"{value.difference:+.3g} [{value.interval_low:+.3g}, {value.interval_high:+.3g}]"
        )


if __name__ == "__main__":
    main()
