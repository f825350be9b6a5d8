"""Top-1, cross-entropy, recognizability, diversity: against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from scripts import evaluate, score


@given(st.integers(0, 2**32 - 1))
def test_top1_and_cross_entropy_are_what_scikit_learn_computes(seed):
    random = np.random.default_rng(seed)
    logits, labels = random.normal(size=(40, 5)), np.concatenate([np.arange(5), random.integers(0, 5, 35)])
    rows = evaluate.measures(torch.from_numpy(logits), torch.from_numpy(labels))
    overall = rows[0]
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert overall["class_id"] is None
    assert overall["top1"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert overall["cross_entropy"] == pytest.approx(log_loss(labels, probability))
    assert sum(row["images"] for row in rows[1:]) == overall["images"] == 40


def test_recognizability_is_the_mean_of_the_f1_of_the_classes():
    labels = np.array([0, 0, 1, 1])
    logits = np.eye(2)[[0, 1, 1, 1]]  # class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1
    found = score.scores(logits, np.zeros((4, 3)), labels)
    assert [row["recognizability"] for row in found["per_class"]] == pytest.approx([2 / 3, 4 / 5])
    assert found["recognizability"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_that_is_never_recognized_counts_as_zero():
    found = score.scores(np.eye(2)[[0, 0, 0, 0]], np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    assert found["per_class"][1]["recognizability"] == 0


def test_diversity_is_the_deviation_within_a_class_not_between_classes():
    labels = np.array([0, 0, 1, 1])
    features = np.array([[0.0, 0], [2, 0], [100, 100], [100, 104]])
    found = score.scores(np.eye(2)[labels], features, labels)
    assert [row["diversity"] for row in found["per_class"]] == pytest.approx([0.5, 1.0])  # mean over the two dimensions
    assert [row["diversity_total"] for row in found["per_class"]] == pytest.approx([1.0, 2.0])
    assert found["diversity"] == pytest.approx(0.75)


@given(st.floats(0.1, 10))
def test_diversity_scales_with_the_features(factor):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(20, 4)), np.arange(20) % 2
    a, b = (score.scores(np.eye(2)[labels], f, labels)["diversity"] for f in (features, factor * features))
    assert b == pytest.approx(factor * a)
