"""How much of a curve's scatter the draw of its images causes, and its effect on intervals of k.

python -m benchmarks.image_draws [--results results/digits] [--seeds 3]

Training sets are nested prefixes, so the images of a small set are in every larger one: if a draw
is good, it is good at several sizes, and the points of a curve scatter together. An interval of k
from their distances to the law cannot see that.

Classifiers of the digits study are trained with `draws`: each seed on the images of draw `seed
modulo draws`, so several seeds share a draw. Real images are those of the forms that no evaluation
set has; synthetic ones are those of the finished study. With the runs of a draw averaged over its S
seeds, per size,

    covariance between draws = image + training / S,    covariance within draws = training

both over sizes. From these follows what an interval covers if one draw is trained on with three
seeds, as a study without draws does.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from synscale.runtime.torch_setup import deterministic

import numpy as np
import pandas as pd
from scipy import stats

from synscale.data import prepare, shards
from synscale.evaluation import classifiers
from synscale.runtime.atomic import write_json
from synscale.study import class_table
from synscale.study.load import load_study
from synscale.study.models import CurveSelection, Study
from synscale.training import classifier_group, classifier_loop, stream
from synscale.training.distributed import process_group
from synscale.workflow.settings.data import data_settings
from synscale.workflow.settings.training import classifier_settings

OUTPUT = Path(__file__).parent / "image_draws.json"
ARCHITECTURE, GUIDANCE, EVALUATION = "vit_small", 1.5, "unseen_writers"
REAL, SYNTHETIC = "real", "diffusion_class_names"
DRAWS = {REAL: 4, SYNTHETIC: 8}
SIZES = {REAL: [30, 60, 120, 240], SYNTHETIC: [30, 60, 120, 240, 480]}
FORMS = list(range(9))  # real images; 9 to 13 are those of evaluation sets
TRIALS = 20_000  # simulated curves for a coverage
TODAY = 3  # seeds of a study


def study_with_draws(source: str, seeds: int) -> Study:
    """Return the digits study with `seeds` runs of each draw of a source at each size."""
    base = load_study("studies/digits.yaml")
    draws, sizes = DRAWS[source], SIZES[source]
    row = base.sources[source]
    images = draws * sizes[-1] if source == REAL else row.images
    data = base.data.model_copy(update={"classifier_training": FORMS})
    curves = [CurveSelection(source=source, guidance="all" if source == REAL else [GUIDANCE])]
    experiment = base.experiments["scaling"].model_copy(
        update={
            "architectures": [ARCHITECTURE],
            "sizes": sizes,
            "seeds": list(range(draws * seeds)),
            "curves": curves,
        }
    )
    sources = base.sources | {source: row.model_copy(update={"images": images, "draws": draws})}
    return base.model_copy(
        update={"data": data, "sources": sources, "experiments": {"draws": experiment}}
    )


def log_losses(source: str, seeds: int, tars: list[str], evaluation: str) -> pd.DataFrame:
    """Train every run and return its log loss: columns source, draw, seed, size, log_loss."""
    study = study_with_draws(source, seeds)
    classes = len(class_table.read(study.classes))
    jobs = classifier_group.jobs_of(classifier_settings(study, source, ARCHITECTURE), classes)
    series = classifier_group.load_series([job.run for job in jobs], {source: tars})
    device = deterministic(1)
    [held_out] = stream.load_into_memory([stream.open_images([evaluation])])
    rows = []
    with process_group(1) as processes, TemporaryDirectory() as state:
        for job in jobs:
            run = job.run
            images = classifier_group.images_of_run(run, series)
            model = classifier_loop.train(job, images, Path(state) / run.name, run.name, processes)
            [overall, *_] = classifiers.evaluate_set(
                [model.eval()], EVALUATION, held_out, False, device
            )[0]
            rows.append(
                {
                    "source": source,
                    "draw": run.seed % DRAWS[source],
                    "seed": run.seed,
                    "size": run.parts[0].images,
                    "log_loss": float(np.log(overall["cross_entropy"])),
                }
            )
    return pd.DataFrame(rows)


def covariances(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariances of image draw and training, shape (sizes, sizes) each."""
    wide = table.pivot_table(index=["draw", "seed"], columns="size", values="log_loss")
    means = wide.groupby("draw").mean()
    seeds = len(wide) // len(means)
    rest = (wide - means.reindex(wide.index.get_level_values("draw")).to_numpy()).to_numpy()
    training = rest.T @ rest / (len(wide) - len(means))
    return np.cov(means.to_numpy().T) - training / seeds, training


def possible(covariance: np.ndarray) -> np.ndarray:
    """Return the nearest covariance: estimated ones may have negative variances."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def coverage(sizes: list[int], covariance: np.ndarray) -> float:
    """Return how often Student's 95 % interval of a line through the points covers k.

    Parameters
    ----------
    sizes : list of int
    covariance : ndarray, shape (sizes, sizes)
        Scatter of the points about a pure law.

    Returns
    -------
    float
    """
    x = np.log(sizes) - np.mean(np.log(sizes))
    scatter = np.random.default_rng(0).multivariate_normal(
        np.zeros(len(x)), possible(covariance), TRIALS
    )
    slope = scatter @ x / (x @ x)
    rest = scatter - scatter.mean(1, keepdims=True) - slope[:, None] * x
    spare = len(x) - 2
    error = np.sqrt((rest**2).sum(1) / spare / (x @ x))
    return float((np.abs(slope) <= stats.t.ppf(0.975, spare) * error).mean())


def correlations(covariance: np.ndarray) -> list[float]:
    """Return the correlations of neighbouring sizes; None if a variance is not positive."""
    spread = np.diag(covariance)
    pairs = zip(range(len(spread) - 1), range(1, len(spread)), strict=True)
    return [
        float(covariance[i, j] / np.sqrt(spread[i] * spread[j]))
        if min(spread[i], spread[j]) > 0
        else None
        for i, j in pairs
    ]


def summary(table: pd.DataFrame) -> dict:
    """Return shares of variance, correlations across sizes and coverages of one source."""
    sizes = sorted(map(int, table["size"].unique()))
    image, training = covariances(table)
    curve = possible(image) + training / TODAY
    total = np.diag(image) + np.diag(training)
    nested = np.sqrt(np.minimum.outer(sizes, sizes) / np.maximum.outer(sizes, sizes))
    between = table.groupby(["size", "draw"])["log_loss"]
    p = [
        float(stats.f_oneway(*(runs for _, runs in rows.groupby("draw")["log_loss"])).pvalue)
        for _, rows in table.groupby("size")
    ]
    return {
        "sizes": sizes,
        "draws": int(table["draw"].nunique()),
        "seeds_of_a_draw": int(between.size().iloc[0]),
        "standard_deviation_of_a_run": np.sqrt(np.maximum(total, 0)).tolist(),
        "share_of_image_draw_in_a_run": (np.diag(image) / total).tolist(),
        "share_of_image_draw_in_a_run_over_sizes": float(np.trace(image) / total.sum()),
        "share_of_image_draw_in_a_mean_of_3_seeds_over_sizes": float(
            np.trace(image) / (np.trace(image) + np.trace(training) / TODAY)
        ),
        "p_of_no_image_draw": p,
        "correlation_of_neighbouring_sizes": {
            "image": correlations(image),
            "training": correlations(training),
            "mean_of_3_seeds": correlations(curve),
        },
        "coverage_of_95": {
            "independent_sizes": coverage(sizes, np.diag(np.diag(curve))),
            "one_draw_3_seeds": coverage(sizes, curve),
            "image_draw_alone_if_variance_is_the_same_at_all_sizes": coverage(sizes, nested),
            "image_draw_alone_if_variance_falls_with_size": coverage(
                sizes, 1 / np.maximum.outer(sizes, sizes)
            ),
        },
    }


def real_images(folder: Path, seeds: int) -> list[str]:
    """Write the real images of all draws as one shard."""
    study = study_with_draws(REAL, seeds)
    settings = replace(data_settings(study, "classifier_training", 0), range=None)
    tar = str(folder / "00000.tar")
    shards.write(tar, prepare.digits_samples(settings, class_table.read(study.classes)))
    return [tar]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results/digits"),
        help="folder with images and evaluation sets of the digits study",
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each draw")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args(arguments)
    evaluation = str(args.results / f"data/{EVALUATION}/00000.tar")
    synthetic = sorted(map(str, (args.results / f"images/{SYNTHETIC}").glob("[0-9]*.tar")))
    with TemporaryDirectory() as folder:
        tables = [
            log_losses(REAL, args.seeds, real_images(Path(folder), args.seeds), evaluation),
            log_losses(SYNTHETIC, args.seeds, synthetic, evaluation),
        ]
    table = pd.concat(tables)
    summaries = {source: summary(rows) for source, rows in table.groupby("source", sort=False)}
    print(json.dumps(summaries, indent=1))
    write_json(
        args.output,
        {
            "command": "python -m benchmarks.image_draws",
            "summary": summaries,
            "runs": table.to_dict("records"),
        },
    )


if __name__ == "__main__":
    main()
