"""Evaluation of classifiers: it resumes by set, and uses bfloat16 only if the metrics agree."""

from synscale.runtime.torch_setup import deterministic

import pandas as pd
import pytest
import torch

from scripts import evaluate
from synscale.evaluation import classifiers, evaluator, finished_sets, precision
from synscale.evaluation.classifiers import ClassifierEvaluator
from synscale.evaluation.precision import Agreement, Tolerance
from synscale.models import classifier
from synscale.study.load import load_study
from synscale.study.models.classifiers import Architecture
from synscale.timing import fake_images
from synscale.training import stream
from synscale.workflow.settings.evaluation import (
    EvaluatedRun,
    EvaluationSettings,
    evaluation_settings,
)
from tests.support.classifier_runs import classifier_job
from tests.support.workflow import SMOKE

CPU = deterministic(1)
ARCHITECTURE = Architecture(label="", patch_size=4, width=16, depth=1, heads=2, pool="avg")
BUILD = {"architecture": ARCHITECTURE, "image_size": 16, "channels": 3, "classes": 10}
SETS = ["first", "second", "third"]


class Interrupted(Exception):
    pass


@pytest.fixture
def group(tmp_path):
    """Settings, folder of two models, and tars of three sets."""
    runs = [EvaluatedRun(f"vit-{seed}", "real", None, "vit", 24, seed) for seed in range(2)]
    for run in runs:
        torch.manual_seed(run.seed)
        model = classifier.build(**BUILD)
        torch.nn.init.normal_(model.head.weight, std=0.2)
        classifier.save(tmp_path / f"{run.name}.safetensors", model, {"build": BUILD})
    tars = [str(tmp_path / name / "00000.tar") for name in SETS]
    for number, tar in enumerate(tars):
        fake_images.shard(tar, 12 + number, 20)
    return EvaluationSettings(runs=tuple(runs), sets=tuple(SETS), masked=True), tmp_path, tars


def metrics_of(group, **options) -> pd.DataFrame:
    settings, folder, tars = group
    return evaluator.evaluate(ClassifierEvaluator(settings, folder, CPU), tars, **options)


@pytest.fixture
def evaluated(monkeypatch):
    """Names of the sets that are evaluated; `evaluated.fails_at` names one that is interrupted."""

    class Names(list):
        fails_at = None

    names = Names()
    evaluate_set = classifiers.evaluate_set

    def recorded(models, evaluation, *args, **kwargs):
        if evaluation == names.fails_at:
            raise Interrupted
        names.append(evaluation)
        return evaluate_set(models, evaluation, *args, **kwargs)

    monkeypatch.setattr(classifiers, "evaluate_set", recorded)
    return names


def test_interrupted_evaluation_resumes_with_the_next_set(group, evaluated, tmp_path):
    expected = metrics_of(group)
    evaluated.clear()
    evaluated.fails_at = "third"
    with pytest.raises(Interrupted):
        metrics_of(group, state=tmp_path / "state")
    evaluated.fails_at = None
    resumed = metrics_of(group, state=tmp_path / "state")
    assert evaluated == SETS
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)


def test_finished_sets_are_removed_with_the_job(tmp_path, evaluated):
    classifier_job(tmp_path, "models")
    sets = list(evaluation_settings(load_study(str(SMOKE)), "real", "vit_tiny").sets)
    state, output = tmp_path / "state", tmp_path / "metrics.parquet"
    arguments = ["--study", str(SMOKE), "--source", "real", "--group", "vit_tiny"]
    arguments += ["--models", str(tmp_path / "models"), "--output", str(output)]
    arguments += ["--state", str(state), "--sets", *[str(tmp_path / "00000.tar")] * len(sets)]
    evaluated.fails_at = sets[-1]
    with pytest.raises(Interrupted):
        evaluate.main(arguments)
    assert len(list(state.iterdir())) == len(sets) - 1 and not output.exists()
    evaluated.fails_at = None
    evaluate.main(arguments)
    assert evaluated == sets
    assert pd.read_parquet(output)["evaluation"].unique().tolist() == sets
    assert not state.exists()


def test_finished_sets_of_other_models_are_not_used(group, evaluated, tmp_path):
    metrics_of(group, state=tmp_path / "state")
    evaluated.clear()
    torch.manual_seed(9)
    classifier.save(tmp_path / "vit-1.safetensors", classifier.build(**BUILD), {"build": BUILD})
    again = metrics_of(group, state=tmp_path / "state")
    assert evaluated == SETS
    pd.testing.assert_frame_equal(again, metrics_of(group))


def test_changed_set_is_evaluated_again(group, evaluated, tmp_path):
    metrics_of(group, state=tmp_path / "state")
    evaluated.clear()
    fake_images.shard(tmp_path / "changed/00000.tar", 9, 20)
    group[2][1] = str(tmp_path / "changed/00000.tar")
    metrics_of(group, state=tmp_path / "state")
    assert evaluated == ["second"]


def test_finished_sets_keep_every_digit(tmp_path):
    finished = finished_sets.FinishedSets(tmp_path, "models")
    rows = [{"class_id": None, "top1": 0.1 + 0.2, "cross_entropy": float("inf")}]
    assert finished.load("set") is None
    finished.add("set", rows)
    assert finished.load("set") == rows
    assert finished.load("set", "other images") is None
    assert finished_sets.FinishedSets(tmp_path, "other models").load("set") is None
    finished_sets.FinishedSets(None, "models").add("set", rows)


def test_agreement_is_the_difference_of_the_metrics():
    labels = torch.tensor([0, 1, 1, 0])
    exact = torch.tensor([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0], [2.0, 0.0]])
    fast = exact.clone()
    fast[0] = torch.tensor([0.0, 2.0])
    agreement = precision.agreement(exact, fast, labels)
    assert (agreement.images, agreement.top1) == (4, -0.25)
    assert agreement.cross_entropy == pytest.approx(2.0 / 4)


@pytest.mark.parametrize(
    ("top1", "cross_entropy", "is_within"),
    [
        (0.001, -0.001, True),
        (-0.003, 0.0, False),
        (0.0, 0.003, False),
        (0.0, float("nan"), False),
    ],
)
def test_metrics_agree_within_the_tolerance(top1, cross_entropy, is_within):
    assert Agreement(2048, top1, cross_entropy).within(Tolerance(0.002, 0.002)) is is_within


def test_bfloat16_is_used_if_the_metrics_agree(group, capsys):
    exact = metrics_of(group)
    fast = metrics_of(group, fast=torch.bfloat16)
    printed = capsys.readouterr().out
    assert "vit-0: evaluated in bfloat16; on 12 images bfloat16 changes top-1 by" in printed
    difference = (exact["cross_entropy"] - fast["cross_entropy"])[exact["class_id"].isna()].abs()
    assert 0 < difference.max() < 0.005


def test_float32_is_used_if_the_metrics_differ(group, monkeypatch, capsys):
    exact = metrics_of(group)
    tolerance = Tolerance(top1=0, cross_entropy=0)
    monkeypatch.setattr(precision, "Tolerance", lambda: tolerance)
    fast = metrics_of(group, fast=torch.bfloat16)
    pd.testing.assert_frame_equal(exact, fast, check_exact=True)
    assert "vit-0: evaluated in float32; " in capsys.readouterr().out


def test_cpu_computes_in_float32_and_reads_no_sample(group, monkeypatch):
    def read(*_, **__):
        raise AssertionError("a sample was read")

    monkeypatch.setattr(stream, "iter_at", read)
    assert precision.fast_dtype(CPU) == torch.float32
    settings, folder, tars = group
    models = ClassifierEvaluator(settings, folder, CPU)
    precisions = models.choose_precisions(tars[0], models.ask("first", tars[0]), torch.float32)
    assert precisions == [torch.float32] * 2


def test_sample_is_spread_over_the_set():
    positions = precision.sample_positions(50_000)
    assert len(positions) == len(positions.unique()) == 2048
    assert positions.diff().unique().tolist() == [24, 25]
    assert precision.sample_positions(3).tolist() == [0, 1, 2]
