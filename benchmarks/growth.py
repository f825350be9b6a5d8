"""How the cost of each stage grows: seconds and peak memory at several sizes on a CPU.

python -m benchmarks.growth [--stages batches evaluate ...] [--sizes 256 512 1024]

A child is a fork, so that memory counts from what this process has loaded already. Growth is linear
where the line's R2 is near 1 and an image costs no more at the largest size than between the
others; memory must not grow with the data set, but for what is said of a stage.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import generation, law_fitting, scores
from benchmarks.measuring import Check, Result, begin, finish, parser
from synscale.data import shards
from synscale.evaluation import classifiers, reference
from synscale.models import classifier, pipelines
from synscale.study.models.classifiers import Architecture, Training
from synscale.timing import fake_images
from synscale.training import augment, classifier_loop, stream
from synscale.training.classifier_loop import ClassifierJob
from synscale.training.distributed import ProcessGroup
from synscale.workflow.settings.training import TrainingRun

PREDICTION = (
    "Seconds linear in every stage, R2 over 0.98 on a machine that others use. Memory constant, "
    "except where it is said: score keeps 4 x width bytes of "
    "features an image, and finding the first images of a source nothing; evaluate keeps 8 bytes "
    "an image and checkpoint at most. "
    "What was not explained of score's memory was nothing that is held: malloc_trim took what "
    "16,384 images had grown by from 64 MB to 3. The distance to the "
    "third neighbour was kept as a small vector for every 1,000 images, between their distances, "
    "of 8 MB, so that the next found no room there. Now that all "
    "of them are taken at once: under 1 kB an image (0.3 of features and radii, 0.2 of places). "
    "Score's seconds: 0.55 ms an image, read twice here, and for "
    "its square 15 ns, which are three times all distances and were four: 33 s at 32,768, of which "
    "a half is the square."
)
LEAST_R2 = 0.98
CPU = torch.device("cpu")
SIZE, BATCH = 64, 64
RECIPE = Training(
    batch_size=BATCH,
    learning_rate=1e-3,
    warmup=0.1,
    weight_decay=0.1,
    label_smoothing=0.0,
    position_std=0.02,
)
TINY = Architecture(label="", patch_size=16, width=32, depth=2, heads=2, pool="avg")
BUILD = {"architecture": TINY, "image_size": SIZE, "channels": 3, "classes": scores.CLASSES}


def _images(folder: Path, count: int) -> stream.ShardedImages:
    return stream.open_images([str(folder / "images.tar")], images=count)


def write_shard(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    pixels = fake_images.photograph(random, SIZE)
    rows = (
        (f"{i:09d}", pixels, {"image": i, "class_id": i % 10, "prompt": "a photo"})
        for i in range(count)
    )
    shards.write(folder / f"written-{count}.tar", rows, fake_images.JPEG)


def read_batches(folder: Path, count: int) -> None:
    recipe = RECIPE.model_copy(update={"crop_scale": (0.08, 1.0), "flip": True})
    transform = augment.of_images(recipe, SIZE, SIZE)
    for _ in stream.iter_training(
        _images(folder, count), BATCH, count // BATCH, 0, transform=transform
    ):
        pass


def train(folder: Path, count: int) -> None:
    """Train with a step for each batch of the images, so that an image is seen once."""
    run = TrainingRun("benchmark", str(count), 0, count // BATCH)
    job = ClassifierJob(run, **BUILD, recipe=RECIPE)
    state = folder / f"state-{count}"
    classifier_loop.train(job, _images(folder, count), state, "growth", ProcessGroup(CPU))


def evaluate(folder: Path, count: int) -> None:
    models = [classifier.build(**BUILD).eval() for _ in range(4)]
    classifiers.evaluate_set(models, "unseen", _images(folder, count), False, CPU)


def score(folder: Path, count: int) -> None:
    model = classifier.build(**BUILD).eval()
    network = reference.Reference(model, lambda images: classifier.inputs(model, images))
    images = _images(folder, count)
    scores.run_project(network, images, images, CPU)


def generate_images(folder: Path, count: int) -> None:
    """Fewer, for they cost more: one for 8 of the other stages."""
    settings = generation.settings_of("tiny", count // 8, 4, "float32", 16)
    pipeline = pipelines.load(str(folder / "pipeline"), settings.sampling, CPU)
    generation.run_project(pipeline, settings, folder / f"made-{count}.tar")


def fit_laws(folder: Path, count: int) -> None:
    """Fit one curve for 16 images of the other stages."""
    law_fitting.one_by_one(*law_fitting.curves(count // 16, 10))


STAGES = {  # name -> what it does, what `size` counts, how many of them it does to one of the sizes
    "write": (write_shard, "image", 1),
    "batches": (read_batches, "image", 1),
    "train": (train, "image", 1),
    "evaluate": (evaluate, "image", 1),
    "score": (score, "image", 1),
    "generate": (generate_images, "image", 1 / 8),
    "fit_laws": (fit_laws, "curve", 1 / 16),
}


def in_child(work: Callable[[], None]) -> tuple[float, float]:
    """Return CPU time in seconds and peak memory in MB of work in a fork of this process.

    Raises SystemExit if the work fails.
    """
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit("a stage failed; see the error above")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def line(sizes: list[float], seconds: list[float]) -> tuple[float, float, float]:
    """Return start, seconds per unit, and R2 of a straight line."""
    slope, start = np.polyfit(sizes, seconds, 1)
    rest = np.var(np.asarray(seconds) - start - slope * np.asarray(sizes))
    return float(start), float(slope), float(1 - rest / np.var(seconds))


def stage(name: str, folder: Path, sizes: list[int], rounds: int) -> tuple[list[dict], dict]:
    """Return a row for each size, and one for the line through the least seconds of each.

    The least seconds, because other work on the machine only adds time.
    """
    work, unit, share = STAGES[name]
    seconds, memory = [], []
    for size in sizes:
        used = [in_child(partial(work, folder, size)) for _ in range(rounds)]
        seconds.append(min(cpu for cpu, _ in used))
        memory.append(max(peak for _, peak in used))
    counts = [size * share for size in sizes]
    start, slope, fit = line(counts, seconds)
    rows = [
        {"stage": name, "size": int(count), "of": unit, "seconds": s, "peak MB": m}
        for count, s, m in zip(counts, seconds, memory, strict=True)
    ]
    summary = {
        "stage": name,
        "start, s": start,
        "ms per unit": 1000 * slope,
        "R2": fit,
        "kB of memory per unit": 1000 * float(np.polyfit(counts, memory, 1)[0]),
    }
    return rows, summary


def check(fits: list[float]) -> Check:
    """Return whether time grows linearly, by R2 of the line of each stage."""
    measured = f"{min(fits):.3f} to {max(fits):.3f}"
    reached = "yes" if min(fits) >= LEAST_R2 else "no"
    return Check("R2 of time against size in each stage", measured, f"at least {LEAST_R2}", reached)


def measure(folder: Path, stages: list[str], sizes: list[int], rounds: int) -> Result:
    fake_images.shard(folder / "images.tar", max(sizes), SIZE)
    generation.save_pipeline(folder / "pipeline", generation.MODELS["tiny"])
    results = [stage(name, folder, sizes, rounds) for name in stages]
    tables = {
        "Lines": [summary for _, summary in results],
        "Sizes": [row for rows, _ in results for row in rows],
    }
    work = (
        f"{', '.join(map(str, sizes))} images of {SIZE} px, models of width {TINY.width}; "
        f"shortest time of {rounds} rounds, largest memory"
    )
    fits = [summary["R2"] for _, summary in results]
    return Result("growth", "How cost grows", work, PREDICTION, tables, checks=[check(fits)])


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, rounds=3)
    options.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    options.add_argument("--sizes", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    args, _ = begin(options, arguments)
    with tempfile.TemporaryDirectory() as folder:
        finish(measure(Path(folder), args.stages, args.sizes, args.rounds), args)


if __name__ == "__main__":
    main()
