"""Top-1, cross-entropy, recognizability and diversity agree with their definitions."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from synscale.analysis import metrics
from synscale.evaluation.accumulator import MetricAccumulator
from synscale.evaluation.scores import class_scores
from synscale.study.models.data import FilesData, evaluations

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=20)


def accumulate(logits, labels, classes=None, batch_size=16) -> list[dict]:
    accumulator = MetricAccumulator("set", len(labels), classes)
    vectors = (torch.from_numpy(vector).split(batch_size) for vector in (logits, labels))
    for batch in zip(*vectors, strict=True):
        accumulator.add(*batch)
    return accumulator.rows()


def assert_agrees(row, logits, labels):
    """Compare with scikit-learn; labels are columns of the logits."""
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss = log_loss(labels, probability, labels=range(logits.shape[1]))
    assert row["top1"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert row["cross_entropy"] == pytest.approx(loss)


@few
@given(SEEDS, st.integers(1, 50))
def test_metrics_in_batches_agree_with_scikit_learn(seed, batch_size):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(40, 5))
    labels = np.concatenate([np.arange(5), random.integers(0, 5, 35)])
    rows = accumulate(logits, labels, batch_size=batch_size)
    assert rows[0]["class_id"] is None
    assert_agrees(rows[0], logits, labels)
    assert sum(row["images"] for row in rows[1:]) == rows[0]["images"] == 40
    for row in rows[1:]:
        is_class = labels == row["class_id"]
        assert_agrees(row, logits[is_class], labels[is_class])


@few
@given(SEEDS)
def test_set_of_some_classes_has_masked_and_unmasked_rows(seed):
    random = np.random.default_rng(seed)
    classes = np.array([1, 4, 6])
    logits = random.normal(size=(40, 8))
    place = random.permutation(np.arange(40) % 3)
    rows = accumulate(logits, classes[place], classes)
    masked = [row for row in rows if row["evaluation"] == "set"]
    unmasked = [row for row in rows if row["evaluation"] == "set_unmasked"]
    for part in (masked, unmasked):
        assert [row["class_id"] for row in part] == [None, 1, 4, 6]
    assert_agrees(masked[0], logits[:, classes], place)
    assert_agrees(unmasked[0], logits, classes[place])
    for a, b in zip(masked, unmasked, strict=True):
        assert a["top1"] >= b["top1"] and a["cross_entropy"] < b["cross_entropy"]


def test_image_of_an_unknown_class_is_refused():
    logits = np.eye(3)
    rows = accumulate(logits, np.arange(3), [0, 1, 2])
    assert {row["evaluation"] for row in rows} == {"set"}
    message = r"set: images of classes \[2\], which are not among the 2 in its manifest"
    with pytest.raises(ValueError, match=message):
        accumulate(logits, np.arange(3), [0, 1])


def test_incomplete_set_has_no_rows():
    accumulator = MetricAccumulator("set", 3)
    accumulator.add(torch.eye(3)[:2], torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"set: incomplete \(2 images, expected 3\)"):
        accumulator.rows()


def test_missing_metrics_are_named():
    row = {"evaluation": "photos", "class_id": None, "top1": 1.0, "cross_entropy": 0.0}
    table = pd.DataFrame([row | dict.fromkeys(metrics.RUN, 0)])
    message = "no metrics on photos_unmasked; a set that holds every class has no unmasked ones"
    with pytest.raises(ValueError, match=message):
        metrics.overall(table, "photos_unmasked")


def test_sets_of_other_classes_are_for_clip_only():
    flowers = {"dataset": "flowers", "classes": "flowers.csv"}
    evaluation = {"renditions": {"dataset": "renditions"}, "flowers": flowers}
    training = {"photos": {"dataset": "photos"}}
    data = FilesData(kind="files", training=training, evaluation=evaluation)
    assert evaluations(data) == ["renditions", "renditions_unmasked"]
    assert evaluations(data, clip=True) == ["renditions", "flowers", "renditions_unmasked"]


def test_recognizability_is_the_mean_f1_of_the_classes():
    labels = np.array([0, 0, 1, 1])
    # class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1
    predicted = np.array([0, 1, 1, 1])
    scores = class_scores(predicted, np.zeros((4, 3)), labels)
    assert [row["recognizability"] for row in scores["per_class"]] == pytest.approx([2 / 3, 4 / 5])
    assert scores["recognizability"] == pytest.approx((2 / 3 + 4 / 5) / 2)


@few
@given(SEEDS)
def test_recognizability_agrees_with_scikit_learn(seed):
    labels, predicted = np.random.default_rng(seed).integers(0, 5, (2, 30))
    expected = f1_score(labels, predicted, labels=np.unique(labels), average=None, zero_division=0)
    rows = class_scores(predicted, np.zeros((30, 3)), labels)["per_class"]
    assert [row["recognizability"] for row in rows] == expected.tolist()


def test_unrecognized_class_counts_as_zero():
    scores = class_scores(np.zeros(4, int), np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    assert scores["per_class"][1]["recognizability"] == 0


def test_diversity_is_the_deviation_within_a_class():
    labels = np.array([0, 0, 1, 1])
    features = np.array([[0.0, 0], [2, 0], [100, 100], [100, 104]])
    scores = class_scores(labels, features, labels)
    # mean over the two dimensions
    assert [row["diversity"] for row in scores["per_class"]] == pytest.approx([0.5, 1.0])
    assert [row["diversity_total"] for row in scores["per_class"]] == pytest.approx([1.0, 2.0])
    assert scores["diversity"] == pytest.approx(0.75)


@given(st.floats(0.1, 10))
def test_diversity_scales_with_the_features(factor):
    features = np.random.default_rng(0).normal(size=(20, 4))
    labels = np.arange(20) % 2
    diversity = class_scores(labels, features, labels)["diversity"]
    scaled = class_scores(labels, factor * features, labels)["diversity"]
    assert scaled == pytest.approx(factor * diversity)
