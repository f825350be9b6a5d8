"""Top-1, cross-entropy, recognizability, diversity: against their definitions."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from scripts import score
from synscale.analysis import metrics
from synscale.evaluation.accumulator import Tally
from synscale.study.models.data import FilesData, evaluations

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=20)


def tallied(logits, labels, held=None, batch_size=16) -> list[dict]:
    tally = Tally("set", len(labels), held)
    for own, of in zip(
        torch.from_numpy(logits).split(batch_size),
        torch.from_numpy(labels).split(batch_size),
        strict=True,
    ):
        tally.add(own, of)
    return tally.rows()


def is_what_scikit_learn_computes(row, logits, labels):
    """labels: column of the logits that is right."""
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert row["top1"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert row["cross_entropy"] == pytest.approx(
        log_loss(labels, probability, labels=range(logits.shape[1]))
    )


@few
@given(SEEDS, st.integers(1, 50))
def test_top1_and_cross_entropy_are_what_scikit_learn_computes_in_batches_of_any_size(
    seed, batch_size
):
    random = np.random.default_rng(seed)
    logits, labels = (
        random.normal(size=(40, 5)),
        np.concatenate([np.arange(5), random.integers(0, 5, 35)]),
    )
    rows = tallied(logits, labels, batch_size=batch_size)
    assert rows[0]["class_id"] is None
    is_what_scikit_learn_computes(rows[0], logits, labels)
    assert sum(row["images"] for row in rows[1:]) == rows[0]["images"] == 40
    for row in rows[1:]:
        own = labels == row["class_id"]
        is_what_scikit_learn_computes(row, logits[own], labels[own])


@few
@given(SEEDS)
def test_a_set_of_some_classes_is_judged_among_those_and_among_all(seed):
    random = np.random.default_rng(seed)
    held = np.array([1, 4, 6])
    logits, place = random.normal(size=(40, 8)), random.permutation(np.arange(40) % 3)
    rows = tallied(logits, held[place], held)
    masked, unmasked = (
        [row for row in rows if row["evaluation"] == name] for name in ("set", "set_unmasked")
    )
    assert (
        [row["class_id"] for row in masked]
        == [row["class_id"] for row in unmasked]
        == [None, 1, 4, 6]
    )
    is_what_scikit_learn_computes(masked[0], logits[:, held], place)
    is_what_scikit_learn_computes(unmasked[0], logits, held[place])
    assert all(
        a["top1"] >= b["top1"] and a["cross_entropy"] < b["cross_entropy"]
        for a, b in zip(masked, unmasked, strict=True)
    )


def test_a_set_of_all_classes_is_judged_once_and_a_stranger_is_told():
    logits = np.eye(3)
    assert {row["evaluation"] for row in tallied(logits, np.arange(3), [0, 1, 2])} == {"set"}
    with pytest.raises(
        ValueError,
        match=r"set: images of classes \[2\], which are not among the 2 that its manifest names",
    ):
        tallied(logits, np.arange(3), [0, 1])


def test_a_set_that_was_not_judged_whole_has_no_rows():
    tally = Tally("set", 3)
    tally.add(torch.eye(3)[:2], torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="set: 2 images were judged of 3"):
        tally.rows()


def test_metrics_that_are_not_there_are_told():
    table = pd.DataFrame(
        [
            {"evaluation": "photos", "class_id": None, "top1": 1.0, "cross_entropy": 0.0}
            | dict.fromkeys(metrics.RUN, 0)
        ]
    )
    with pytest.raises(
        ValueError,
        match="no metrics on photos_unmasked; a set that holds every class has no unmasked ones",
    ):
        metrics.overall(table, "photos_unmasked")


def test_sets_with_classes_of_their_own_are_for_clip_alone():
    data = FilesData(
        kind="files",
        training={"photos": {"dataset": "photos"}},
        evaluation={
            "renditions": {"dataset": "renditions"},
            "flowers": {"dataset": "flowers", "classes": "flowers.csv"},
        },
    )
    assert evaluations(data) == ["renditions", "renditions_unmasked"]
    assert evaluations(data, clip=True) == ["renditions", "flowers", "renditions_unmasked"]


def test_recognizability_is_the_mean_of_the_f1_of_the_classes():
    labels = np.array([0, 0, 1, 1])
    predicted = np.array(
        [0, 1, 1, 1]
    )  # class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1
    found = score.scores(predicted, np.zeros((4, 3)), labels)
    assert [row["recognizability"] for row in found["per_class"]] == pytest.approx([2 / 3, 4 / 5])
    assert found["recognizability"] == pytest.approx((2 / 3 + 4 / 5) / 2)


@few
@given(SEEDS)
def test_recognizability_is_what_scikit_learn_computes(seed):
    labels, predicted = np.random.default_rng(seed).integers(0, 5, (2, 30))
    expected = f1_score(labels, predicted, labels=np.unique(labels), average=None, zero_division=0)
    assert [
        row["recognizability"]
        for row in score.scores(predicted, np.zeros((30, 3)), labels)["per_class"]
    ] == expected.tolist()


def test_a_class_that_is_never_recognized_counts_as_zero():
    found = score.scores(np.zeros(4, int), np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    assert found["per_class"][1]["recognizability"] == 0


def test_diversity_is_the_deviation_within_a_class_not_between_classes():
    labels = np.array([0, 0, 1, 1])
    features = np.array([[0.0, 0], [2, 0], [100, 100], [100, 104]])
    found = score.scores(labels, features, labels)
    assert [row["diversity"] for row in found["per_class"]] == pytest.approx(
        [0.5, 1.0]
    )  # mean over the two dimensions
    assert [row["diversity_total"] for row in found["per_class"]] == pytest.approx([1.0, 2.0])
    assert found["diversity"] == pytest.approx(0.75)


@given(st.floats(0.1, 10))
def test_diversity_scales_with_the_features(factor):
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(20, 4)), np.arange(20) % 2
    a, b = (score.scores(labels, f, labels)["diversity"] for f in (features, factor * features))
    assert b == pytest.approx(factor * a)
