"""Seeds that redraw images: disjoint parts of a source, each with its nested, balanced prefixes."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks import image_draws
from scripts import train_classifiers
from synscale.analysis import effects
from synscale.data import shards
from synscale.study.checks import sources as checks
from synscale.study.load import load_study
from synscale.study.models import Study, parts_of
from synscale.training import pairs, stream
from synscale.workflow.paths import training_indexes
from synscale.workflow.runs import run_groups
from synscale.workflow.settings.claims import claims_settings
from synscale.workflow.settings.training import classifier_settings, clip_settings
from tests.support.workflow import ROOT, SMOKE

CLASSES = 10


def study(draws: int, images: int = 120) -> Study:
    """Return the smoke study, whose classifiers train on sources that are split into draws."""
    base = load_study(SMOKE)
    changed = {
        "real": base.sources["real"].model_copy(update={"images": images, "draws": draws}),
        "diffusion_class_names": base.sources["diffusion_class_names"].model_copy(
            update={"images": {1.5: images}, "draws": draws}
        ),
    }
    return base.model_copy(update={"sources": base.sources | changed})


def write_source(folder, count: int, images: int) -> list[str]:
    """Write real images whose pixels are their index."""
    folder.mkdir()
    tars = []
    for shard in range(count):
        numbers = range(shard * images, (shard + 1) * images)
        rows = [
            (
                f"{i:05d}",
                np.full((4, 4, 3), i, np.uint8),
                {"image": i, "class_id": i % CLASSES, "prompt": f"text {i}"},
            )
            for i in numbers
        ]
        tars.append(str(folder / f"{shard:05d}.tar"))
        shards.write(tars[-1], rows)
    return tars


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 12))
def test_draws_are_disjoint_nested_and_balanced(draws, per_class, seed):
    images = draws * per_class * CLASSES
    sources = study(draws, images).sources
    sizes = [size for size in (10, 20, 40, 80) if size <= images // draws] or [images // draws]
    starts = set()
    for size in sizes:
        [part] = parts_of(sources, "real", None, size, seed)
        starts.add(part.get("start", 0))
        assert part["images"] == size
    [start] = starts  # so that a smaller set is a prefix of a larger one
    assert start == seed % draws * (images // draws)
    assert start % CLASSES == 0
    assert start + sizes[-1] <= images


def test_mixture_draws_each_of_its_parts():
    changed = study(draws=3)
    own = parts_of(changed.sources, "real_10", None, 20, seed=2)
    assert [(part["source"], part["start"], part["images"]) for part in own] == [
        ("real", 80, 10),
        ("diffusion_class_names", 80, 10),
    ]


def test_without_draws_no_setting_changes():
    base = load_study(SMOKE)
    assert "draws" not in json.dumps(base.model_dump())
    for source, batch in run_groups(base):
        settings = (clip_settings if "clip" in batch else classifier_settings)(base, source, batch)
        assert all(
            part.keys() == {"source", "guidance", "images"}
            for run in settings["runs"]
            for part in run["parts"]
        )


def test_first_draw_trains_on_the_same_images_as_without():
    one, three = (
        classifier_settings(study(draws, 40 * draws), "real", "vit_tiny")["runs"]
        for draws in (1, 3)
    )
    assert [run for run in one if run["seed"] == 0] == [run for run in three if run["seed"] == 0]
    assert [run["parts"][0]["start"] for run in three if run["seed"] == 1] == [40] * 3


def test_a_draw_needs_the_shards_up_to_its_end():
    base = study(draws=3)
    changed = base.model_copy(update={"images_per_shard": 10})
    settings = classifier_settings(changed, "real", "vit_tiny")
    end = max(
        part.get("start", 0) + part["images"] for run in settings["runs"] for part in run["parts"]
    )
    assert end == 80
    assert settings["inputs"] == {"real": 8}
    assert training_indexes(changed, "real", "vit_tiny") == ["results/s/shard_index/real/00007.csv"]


@pytest.mark.parametrize("most", [0, 1 << 20])
def test_a_stretch_is_read_from_its_start(tmp_path, most):
    [images] = stream.hold([stream.find(write_source(tmp_path / "real", 5, 10))], most)
    own = images.between(15, 32)
    assert own.sizes == [5, 10, 2]
    assert own.between(3, 9).read(torch.arange(6))[0][:, 0, 0, 0].tolist() == list(range(18, 24))
    batch = next(stream.ordered(own, 100))
    assert batch.images[:, 0, 0, 0].tolist() == list(range(15, 32))
    assert (
        batch.class_ids.tolist() == own.class_ids.tolist() == [i % CLASSES for i in range(15, 32)]
    )


def test_reading_a_stretch_opens_no_other_shard(tmp_path):
    tars = write_source(tmp_path / "real", 5, 10)
    own = stream.find(tars).between(20, 40)
    assert [shard.tar for shard in own.shards] == tars[2:4]


def test_runs_are_given_the_images_of_their_draw(tmp_path):
    tars = write_source(tmp_path / "real", 12, 10)
    runs = classifier_settings(study(draws=3), "real", "vit_tiny")["runs"]
    inputs = train_classifiers.inputs_of(runs, {"real": tars})
    for run in runs:
        own = train_classifiers.images_of(run, inputs)
        start = 40 * (run["seed"] % 3)
        pixels, class_ids = own.read(torch.arange(len(own)))
        assert pixels[:, 0, 0, 0].tolist() == list(range(start, start + run["size"]))
        assert torch.bincount(class_ids).tolist() == [run["size"] // CLASSES] * CLASSES


def test_clip_is_given_the_pairs_of_its_draw(tmp_path):
    tars = {"real": write_source(tmp_path / "real", 4, 10)}
    part = {"source": "real", "guidance": None, "images": 12, "start": 15}
    found = pairs.find(tars, [part])
    tokens = pairs.Tokens(found.images, lambda text: [text])
    assert [tokens.text(i) for i in range(12)] == [f"text {i}" for i in range(15, 27)]
    assert found.identity != pairs.find(tars, [part | {"start": 20}]).identity
    with pytest.raises(SystemExit, match="a run needs 12 of real from number 30 on"):
        pairs.find(tars, [part | {"start": 30}])


def faults(changed: Study) -> list[str]:
    own = {
        name: getattr(changed, name)
        for name in ("experiments", "sources", "classifiers", "clip", "classes", "data")
    }
    balance = checks.images_balance(own["sources"], own["classes"], own["data"])
    return [*balance, *checks.experiments_use_what_exists(**own)]


def test_a_size_must_fit_into_a_draw():
    assert faults(study(draws=3)) == []
    assert any(
        "more than the 20 of sources.real.images in each of its 6 draws" in fault
        for fault in faults(study(draws=6))
    )


def test_draws_must_share_images_and_classes_equally():
    assert any(
        "sources.real.images = 120: not a multiple of the 10 classes times the 5 draws; use 100"
        in fault
        for fault in faults(study(draws=5))
    )


# -- claims over draws -----------------------------------------------------------------------------

FITTED = 30 * 2.0 ** np.arange(6)


def drawn_curve(k: float, draws: int, random) -> list[tuple]:
    """Return a curve for each draw whose scatter is all image draw: nested prefixes share images."""
    covariance = 0.05**2 * np.sqrt(
        np.minimum.outer(FITTED, FITTED) / np.maximum.outer(FITTED, FITTED)
    )
    scatter = random.multivariate_normal(np.zeros(len(FITTED)), covariance, draws)
    return [(FITTED, np.exp(2 - k * np.log(FITTED) + own)) for own in scatter]


def test_interval_over_draws_contains_the_draw_of_images():
    """The interval over sizes of one draw does not."""
    random, trials = np.random.default_rng(0), 300
    covered = np.zeros(2)
    for _ in range(trials):
        synthetic, real = drawn_curve(0.3, 3, random), drawn_curve(0.5, 3, random)
        over_draws = effects.over_draws(effects.mean_difference, [synthetic], real)
        one = effects.mean_difference([synthetic[0]], real[0])
        covered += [found.low <= -0.2 <= found.high for found in (over_draws, one)]
        assert over_draws.n == 3
    assert covered[0] / trials > 0.92
    assert covered[1] / trials < 0.88


def test_exponents_over_draws_are_compared_draw_by_draw():
    random = np.random.default_rng(1)
    curves = [drawn_curve(k, 4, random) for k in (0.3, 0.3, 0.5)]
    result = effects.spread_over_draws(curves, 0.1)
    effect = result.effect
    k = np.array(
        [
            [float(-np.polyfit(np.log(sizes), np.log(losses), 1)[0]) for sizes, losses in own]
            for own in curves
        ]
    )
    assert result.exponents == pytest.approx(k.mean(1))
    assert effect.value == pytest.approx(np.ptp(k.mean(1)))
    assert effect.low < effect.value < effect.high
    centred = k - k.mean(0)  # an effect of each draw
    rest = centred - centred.mean(1, keepdims=True)
    f = 4 * (centred.mean(1) ** 2).sum() / 2 / ((rest**2).sum() / 6)
    assert result.p == pytest.approx(stats.f.sf(f, 2, 6))
    level = [
        effects.spread_over_draws([drawn_curve(0.3, 3, random) for _ in range(3)], 0.1).p
        for _ in range(200)
    ]
    assert np.mean(np.array(level) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_claims_know_the_draws_of_their_curves():
    assert claims_settings(load_study("studies/digits.yaml")).draws is None
    base = load_study("studies/digits.yaml")
    changed = {
        name: row.model_copy(update={"draws": 3})
        for name, row in base.sources.items()
        if row.kind != "mixture"
    }
    drawn = base.model_copy(update={"sources": base.sources | changed})
    assert claims_settings(drawn).draws == 3
    changed["real"] = changed["real"].model_copy(update={"draws": 2})
    mixed = drawn.model_copy(update={"sources": base.sources | changed})
    assert claims_settings(mixed).draws is None


# -- the measurement of image draws ----------------------------------------------------------------


def simulated_runs(image: np.ndarray, training: np.ndarray, draws: int, seeds: int) -> pd.DataFrame:
    random, sizes, rows = np.random.default_rng(2), [30, 60, 120], []
    for draw, effect in enumerate(random.multivariate_normal(np.zeros(3), image, draws)):
        for seed in range(seeds):
            scatter = effect + random.multivariate_normal(np.zeros(3), training)
            own = {"source": "real", "draw": draw, "seed": draw + seed * draws}
            rows += [
                own | {"size": size, "log_loss": loss}
                for size, loss in zip(sizes, scatter, strict=True)
            ]
    return pd.DataFrame(rows)


def test_covariances_of_draw_and_training_are_recovered():
    image = 0.04 * (np.eye(3) + 1) / 2
    found = image_draws.covariances(simulated_runs(image, 0.01 * np.eye(3), 2000, 3))
    assert found[0] == pytest.approx(image, abs=0.004)
    assert found[1] == pytest.approx(0.01 * np.eye(3), abs=0.002)


def test_correlated_sizes_cover_less_than_independent_ones():
    found = image_draws.summary(
        simulated_runs(0.04 * (np.eye(3) + 1) / 2, 0.001 * np.eye(3), 50, 2)
    )["coverage_of_95"]
    assert found["independent_sizes"] == pytest.approx(0.95, abs=0.02)
    assert image_draws.coverage([30, 60, 120, 240, 480, 960], np.eye(6)) == pytest.approx(
        0.95, abs=0.01
    )
    assert found["image_draw_alone_if_variance_falls_with_size"] < found["independent_sizes"] - 0.03


def test_committed_summary_is_that_of_its_runs():
    committed = json.loads(image_draws.OUTPUT.read_text(encoding="utf-8"))
    runs = pd.DataFrame(committed["runs"])
    for source, own in runs.groupby("source"):
        again = image_draws.summary(own)
        assert again["share_of_image_draw_in_a_run"] == pytest.approx(
            committed["summary"][source]["share_of_image_draw_in_a_run"]
        )
        assert again["coverage_of_95"] == pytest.approx(
            committed["summary"][source]["coverage_of_95"], abs=0.01
        )


def test_document_states_the_committed_measurement():
    text = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
    found = list(json.loads(image_draws.OUTPUT.read_text(encoding="utf-8"))["summary"].values())
    for name in (
        "share_of_image_draw_in_a_run_over_sizes",
        "share_of_image_draw_in_a_mean_of_3_seeds_over_sizes",
    ):
        assert " | ".join(f"{100 * own[name]:.0f} %" for own in found) in text
    assert (
        " | ".join(f"{100 * own['coverage_of_95']['one_draw_3_seeds']:.0f} %" for own in found)
        in text
    )
    ends = [sorted(own["correlation_of_neighbouring_sizes"]["mean_of_3_seeds"]) for own in found]
    assert " | ".join(f"{own[0]:.2f} to {own[-1]:.2f}" for own in ends).replace("-", "−") in text
