"""Captions state the sizes that each curve is trained at and fitted to."""

import html
import re

import pytest

from synscale.report import caption_sizes
from synscale.study.load import load_study
from synscale.workflow.runs import training_runs
from tests.support.captions import rendered
from tests.support.workflow import ROOT

DIGITS = load_study(ROOT / "studies/digits.yaml")


def fitted_sizes(study, law: str) -> dict[tuple, list[int]]:
    """The sizes that the fit of a law uses, by curve (source, guidance scale, architecture)."""
    settings, sizes = study.laws[law], {}
    for run in training_runs(study, settings.experiments):
        if settings.sizes[0] <= run.size <= settings.sizes[1]:
            sizes.setdefault((run.source, run.guidance, run.architecture), set()).add(run.size)
    return {curve: sorted(numbers) for curve, numbers in sizes.items()}


@pytest.mark.parametrize("name", ["teaser", "laws", "supervised_scaling", "clip_scaling"])
def test_caption_gives_fitted_sizes_of_each_curve(name, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    fits = fitted_sizes(DIGITS, "clip" if name == "clip_scaling" else "supervised")
    real = {tuple(sizes) for (source, *_), sizes in fits.items() if source == "real"}
    assert real == {(30, 60, 120, 240, 480)}
    text = re.sub(r"<[^>]*>|\s+", " ", html.unescape(rendered(name, "digits", DIGITS)))
    assert "5 sizes, 30 to 480 images (real)" in text
    assert "6 sizes, 30 to 960 images (synthetic)" in text
    assert ('5 sizes, 60 to 960 images (mixture "real and synthetic")' in text) == (
        name in ("teaser", "laws", "clip_scaling")
    )
    assert "over 30 to 960" not in text


def test_caption_gives_trained_sizes_of_each_curve(tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered("supervised_scaling", "digits", DIGITS))
    expected = (
        "5 sizes, 30 to 480 training images (real) and 8 sizes, 30 to 3,840 training images "
        "(synthetic); 3 seeds at each size"
    )
    assert expected in text


def test_sizes_name_curves_as_far_as_they_differ():
    curves = {
        ("supervised", "real", None, "small"): {1, 2, 4},
        ("supervised", "one", 1.0, "small"): {1, 2, 4},
        ("supervised", "one", 2.0, "small"): {1, 2, 4, 8},
    }
    assert (
        caption_sizes.by_curve(DIGITS, {key: {1, 2, 4} for key in curves}, "images")
        == "3 sizes, 1 to 4 images"
    )
    sources = {"real": DIGITS.sources["real"], "one": DIGITS.sources["diffusion_class_names"]}
    study = DIGITS.model_copy(update={"sources": sources})
    expected = (
        "3 sizes, 1 to 4 images (real and one at guidance 1) and 4 sizes, 1 to 8 images (one at "
        "guidance 2)"
    )
    assert caption_sizes.by_curve(study, curves, "images") == expected


def test_exchange_caption_gives_all_sizes_of_each_curve(tmp_path, monkeypatch):
    """Its laws are those over every size."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered("exchange_rate", "digits", DIGITS))
    assert "5 sizes, 30 to 480 images (real) and 8 sizes, 30 to 3,840 images (synthetic)" in text
    assert "30 to 960" not in text


SUPERVISED = ["supervised_scaling", "ood_scaling", "beyond_the_law", "per_class", "teaser"]
SUPERVISED += ["limited_real", "exchange_rate", "joint_law", "configuration_sweep"]


@pytest.mark.parametrize("name", SUPERVISED)
def test_caption_of_classifiers_gives_the_epochs_of_each_size(name, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered(name, "digits", DIGITS))
    steps, size = DIGITS.classifiers.iterations, 480
    number = f"{steps[size] * DIGITS.classifiers.batch_size / size:.0f} at 480"
    assert "Epochs:" in text and number in text
    assert ("; 160 at 30 pairs" in text) == (name == "teaser")


def test_epochs_below_ten_have_two_digits():
    sizes = {(None, "real", None, "vit_small"): {30, 3840}}
    assert caption_sizes.epochs(DIGITS, sizes) == "107 at 30 images and 3.3 at 3,840"
