"""Train the classifiers of one batch: runs of one source that share a job.

Each run is a ViT at a size, a guidance scale and a seed (synscale/training/classifier_loop.py).
"""

import json
import shutil
from pathlib import Path

from synscale.data import shard_index, shards
from synscale.models import classifier
from synscale.runtime import cli
from synscale.study import class_table
from synscale.study.models.classifiers import Training
from synscale.study.models.rounding import without_rounding_only
from synscale.training import checkpoint, distributed, stream
from synscale.training.classifier_loop import train
from synscale.workflow.settings.training import classifier_settings


def inputs_of(
    runs: list[dict], tars: dict[str, list[str]]
) -> dict[tuple[str, float | None], stream.Images]:
    """Return the images that the runs need of each source and guidance scale, from the first: in
    memory if all of them fit, or else in their tars.
    """
    needed: dict[tuple, int] = {}
    for part in (part for run in runs for part in run["parts"]):
        key = part["source"], part["guidance"]
        needed[key] = max(needed.get(key, 0), part.get("start", 0) + part["images"])
    found = [
        stream.open_images(tars[source], guidance, images)
        for (source, guidance), images in needed.items()
    ]
    return dict(zip(needed, stream.load_into_memory(found), strict=True))


def images_of(run: dict, inputs: dict[tuple[str, float | None], stream.Images]) -> stream.Images:
    """Return the images that a run trains on. inputs: as of `inputs_of`."""
    starts = [part.get("start", 0) for part in run["parts"]]
    own = [
        inputs[p["source"], p["guidance"]].between(start, start + p["images"])
        for p, start in zip(run["parts"], starts, strict=True)
    ]
    return own[0].join(own)


def train_batch(
    settings: dict,
    index_files: list[str],
    classes: int,
    output: Path,
    state: Path,
    processes: distributed.ProcessGroup,
) -> None:
    """Train every run of `settings` (classifier_settings) into a file in `output`; `state`
    keeps what is done until all are.
    """
    part = output.with_name(f"{output.name}.part")
    if processes.is_main:
        shutil.rmtree(part, ignore_errors=True)  # of a try that was killed
        part.mkdir(parents=True)
    inputs = inputs_of(
        settings["runs"], shards.by_source(shard_index.tars(index_files), settings["inputs"])
    )
    data = shard_index.identity(index_files)
    for run in settings["runs"]:
        architecture = settings["architectures"][run["architecture"]]
        build = {
            "architecture": architecture,
            "image_size": settings["image_size"],
            "channels": settings["channels"],
            "classes": classes,
        }
        identity = json.dumps(
            [run, build, without_rounding_only(settings)["training"], data], sort_keys=True
        )
        done = state / f"{checkpoint.digest(identity)}.safetensors"
        if not processes.broadcast(done.exists()):
            model = train(
                build,
                Training(**settings["training"]),
                run,
                images_of(run, inputs),
                state / run["name"],
                identity,
                processes,
            )
            if processes.is_main:
                classifier.save(
                    done, model, {"build": build, "run": run, "training": settings["training"]}
                )
                checkpoint.discard(state / run["name"])
        if processes.is_main:
            shutil.copyfile(done, part / f"{run['name']}.safetensors")
    if processes.is_main:
        shutil.rmtree(
            output, ignore_errors=True
        )  # Snakemake makes the folder of a directory output
        part.rename(output)
        checkpoint.discard(state)


def main(arguments: list[str] | None = None) -> None:
    parser = cli.parser(__doc__, "source", "group")
    parser.add_argument("--classes", required=True, help="CSV of the classes")
    parser.add_argument(
        "--shard-index",
        required=True,
        nargs="+",
        help="lists of the shards of the sources that the runs are made of, in order",
    )
    parser.add_argument("--output", required=True, help="folder: a safetensors file for each run")
    parser.add_argument(
        "--state",
        required=True,
        help="folder of finished runs and training state, kept until the job is done",
    )
    parser.add_argument("--threads", type=int, default=1)
    args, settings = cli.parse(parser, arguments, classifier_settings)
    with distributed.process_group(args.threads) as processes:
        train_batch(
            settings,
            args.shard_index,
            len(class_table.read(args.classes)),
            Path(args.output),
            Path(args.state),
            processes,
        )


if __name__ == "__main__":
    main()
