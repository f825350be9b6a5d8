"""Published numbers next to those of a study: images of mixtures, and captions."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest

from synscale.analysis import metrics
from synscale.report import versus_paper
from synscale.study.load import StudyError, load_study
from synscale.study.models.figures import VersusTable
from synscale.study.models.training_parts import images_of_each_part
from synscale.workflow.settings import tables as table_settings
from synscale.workflow.settings.laws import ExperimentSettings
from tests.support.workflow import ROOT

NUMBERS = ROOT / "data/paper_numbers.csv"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def published() -> pd.DataFrame:
    return pd.read_csv(NUMBERS, dtype=str, keep_default_na=False)


LEVEL = (
    "      clip_vit_b_synthetic_and_real_64m_top1: {law: clip, architecture: clip_base, source: "
    "laion_and_synthetic, size: 128000000}\n"
)


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (
            "size: 64000000",
            "size 64,000,000: wrong number of images of each part (32,000,000, expected "
            "64,000,000 as in the published result); name the size that has as many",
        ),
        ("size: 3000000", "size = 3000000: not trained in the experiments of laws.clip"),
        ("guidance: null", "no size (expected that of the published number); add the key"),
    ],
)
def test_published_level_needs_as_many_images_of_each_part(tmp_path, new, error):
    """A size of the study counts images; the authors' labels probably count captions."""
    text = (ROOT / "studies/imagenet.yaml").read_text(encoding="utf-8")
    assert LEVEL in text
    path = tmp_path / "bad.yaml"
    path.write_text(text.replace(LEVEL, LEVEL.replace("size: 128000000", new)), encoding="utf-8")
    with pytest.raises(StudyError) as raised:
        load_study(path)
    assert (
        f"tables.versus_paper.counterparts.clip_vit_b_synthetic_and_real_64m_top1: {error}"
        in str(raised.value)
    )


def test_mixtures_of_pairs_go_to_as_many_captions_as_real_pairs():
    study = load_study(ROOT / "studies/imagenet.yaml")
    captions = [
        images_of_each_part(study.sources, "laion_and_synthetic", None, size)
        for size in study.experiments["clip_both"].sizes
    ]
    assert captions == study.experiments["clip"].sizes
    assert study.laws["clip"].sizes == (
        study.experiments["clip"].sizes[0],
        study.experiments["clip_both"].sizes[-1],
    )


@pytest.mark.parametrize("size", [1, 2, 7, 8, 64])
def test_images_of_each_part_halve_those_of_a_pair_of_parts(size):
    sources = load_study(ROOT / "studies/imagenet.yaml").sources
    assert images_of_each_part(sources, "laion", None, size) == size
    expected = size // 2 if size > 1 else None
    assert images_of_each_part(sources, "laion_and_synthetic", None, size) == expected
    assert images_of_each_part(sources, "real_125k", None, 125_001) is None


def metrics_of(experiments: list[ExperimentSettings], evaluation: str) -> pd.DataFrame:
    """Random metrics of every run of these experiments."""
    random = np.random.default_rng(0)
    rows = []
    for experiment in experiments:
        for curve, *rest in product(
            experiment.curves, experiment.architectures, experiment.sizes, experiment.seeds
        ):
            values = random.uniform(0.2, 0.9, 2)
            rows.append((*curve, *rest, evaluation, None, 100, *values))
    table = pd.DataFrame(
        rows, columns=[*metrics.RUN, "evaluation", "class_id", "images", "top1", "cross_entropy"]
    )
    return table.astype({"guidance": "Float64", "class_id": "Int64"})


def test_published_levels_are_next_to_runs_of_as_many_captions():
    """A published "480" of both is compared with 960 images: 480 real and 480 synthetic ones."""
    numbers, study = published(), load_study("studies/digits.yaml")
    ids = [
        f"clip_vit_b_{name}_64m_{measure}"
        for name in ("synthetic_and_real", "real")
        for measure in ("top1", "loss")
    ]
    numbers.loc[numbers["id"].isin(ids), "x"] = "480"
    both = {
        "law": "clip",
        "architecture": "clip_small",
        "source": "real_and_synthetic",
        "size": 960,
    }
    real_only = both | {"source": "real", "size": 480}
    table = VersusTable(
        counterparts=dict(zip(ids, [both, both, real_only, real_only], strict=True))
    )
    study = study.model_copy(
        update={"tables": study.tables.model_copy(update={"versus_paper": table})}
    )
    assert table_settings.level_laws(study) == ["clip"]
    settings = table_settings.versus_settings(study)
    runs = metrics_of(settings.experiments["clip"], "unseen_writers")
    tidy = versus_paper.compare(numbers, settings, {}, runs)
    rows = tidy.set_index("id").loc[ids]
    assert rows["our_size"].tolist() == [960, 960, 480, 480]
    assert rows["our_seeds"].tolist() == [3, 3, 3, 3]
    mixture_runs = runs[(runs["source"] == "real_and_synthetic") & (runs["size"] == 960)]
    assert rows["our_value"].tolist()[:2] == pytest.approx(
        [100 * mixture_runs["top1"].mean(), mixture_runs["cross_entropy"].mean()]
    )
    assert rows["our_sd"].tolist()[:2] == pytest.approx(
        [100 * mixture_runs["top1"].std(), mixture_runs["cross_entropy"].std()]
    )
    text = re.sub(" +", " ", versus_paper.levels_markdown(tidy, settings.labels))
    assert (
        "| released checkpoints, CLIP ViT-B/16: LAION-400M Synthetic+Real | 480 captions | top-1 "
        "(%) | 55.86 " in text
    )
    assert "mixture, real and synthetic: 960 images" in text
    others = "".join(versus_paper.other_numbers(tidy))
    assert "LAION-400M Synthetic+Real" in others  # the other sizes
    assert "55.858" not in others


def test_published_sizes_of_mixtures_are_numbers_of_captions():
    numbers = published()
    mixed = numbers[numbers["series"] == "LAION-400M Synthetic+Real"]
    assert mixed["x"].tolist() == [
        str(size) for size in (64_000_000, 128_000_000, 256_000_000, 371_000_000) for _ in range(2)
    ]
    assert set(mixed["x_name"]) == {"captions"}
    assert mixed["confidence"].str.contains("each with both images", regex=False).all()
