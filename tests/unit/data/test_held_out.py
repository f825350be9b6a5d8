"""Held-out sets: a stratified fraction of a data set, disjoint from training, for every run."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from synscale.data import datasets
from synscale.data.datasets import held_out
from synscale.planning.evaluation_images import evaluation_images
from synscale.study.load import StudyError, load_study
from synscale.workflow import preflight
from synscale.workflow.settings.data import HeldOutImages, index_settings
from tests.support import fake_datasets as fake
from tests.support.dataset_checks import error_of, index_error_of, index_of
from tests.support.fake_datasets import WNIDS
from tests.support.workflow import ROOT

FILES = ROOT / "tests/workflow/files.yaml"
TENTH = HeldOutImages(0.1, 0)
VAL = "    things_val: {dataset: things_val}\n"
# As many images as are left to train on.
NINE = [("images: 10}", "images: 9}"), ("sizes: [3, 6, 10]", "sizes: [3, 6, 9]")]
NINE += [("6: 2, 10: 2}", "6: 2, 9: 2}"), ("sizes: [3, 10]", "sizes: [3, 9]")]
HELD_OUT = VAL + "    rest: {kind: held_out, of: things, fraction: 0.25}\n"


@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=6),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_held_out_images_are_stratified(counts, fraction, seed, random):
    rows = [(label, f"{label}/{i}.png") for label, count in enumerate(counts) for i in range(count)]
    labels, names = zip(*rows, strict=True)
    settings = HeldOutImages(fraction, seed)
    mask = held_out.mask(labels, names, settings)
    for label, count in enumerate(counts):
        number = int(mask[np.asarray(labels) == label].sum())
        assert number == held_out.number(count, fraction)
        assert 1 <= number <= count - 1 and abs(number - fraction * count) <= 1
    random.shuffle(rows)
    shuffled = held_out.mask(*zip(*rows, strict=True), settings)
    held_out_names = {name for name, is_held in zip(names, mask, strict=True) if is_held}
    assert held_out_names == {
        name for (_, name), is_held in zip(rows, shuffled, strict=True) if is_held
    }


@pytest.mark.parametrize("write", ["folders", "tars"])
def test_no_image_is_both_trained_on_and_held_out(a_set, tmp_path, write):
    if write == "folders":
        fake.class_folders(a_set.folder, dict(zip(WNIDS, [20, 11, 5], strict=True)))
    else:
        fake.class_tars(a_set.folder, [[0] * 20 + [1], [1] * 10 + [2] * 5])
    trained = index_of(a_set(held_out=TENTH), tmp_path)
    held_out_index = index_of(a_set(held_out=TENTH, training=False), tmp_path)
    complete = index_of(a_set(), tmp_path)
    assert not set(trained["origin"]) & set(held_out_index["origin"])
    assert set(trained["origin"]) | set(held_out_index["origin"]) == set(complete["origin"])
    assert held_out_index["class_id"].value_counts().to_dict() == {0: 2, 1: 1, 2: 1}
    assert trained["class_id"].tolist()[:6] == [0, 1, 2, 0, 1, 2]


def test_seed_holds_out_other_images(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 20))
    first, second = (
        set(index_of(a_set(held_out=HeldOutImages(0.1, seed), training=False), tmp_path)["origin"])
        for seed in (0, 1)
    )
    assert len(first) == len(second) == 6 and first != second


def test_skipped_image_moves_no_other_image(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 10))
    before = index_of(a_set(held_out=TENTH), tmp_path)["origin"]
    (tmp_path / "skip.txt").write_text(f"{before[0]}\n")
    after = index_of(a_set(held_out=TENTH, skip=str(tmp_path / "skip.txt")), tmp_path)["origin"]
    assert set(before) - set(after) == {before[0]} and not set(after) - set(before)


def test_image_of_the_training_index_is_refused(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 4))
    datasets.write_index(a_set(), tmp_path / "training.parquet")
    data = a_set(held_out=TENTH, training=False)
    with pytest.raises(datasets.DataSetError, match="3 held-out images are trained on") as error:
        datasets.write_index(data, tmp_path / "held.parquet", 1, tmp_path / "training.parquet")
    assert "training.parquet was written); remove that file and start again" in str(error.value)


def test_class_of_one_image_is_reported(a_set):
    fake.class_folders(a_set.folder, dict(zip(WNIDS, [4, 1, 4], strict=True)))
    assert "one image of 1 classes: thing 1; none can be held out" in error_of(
        a_set(held_out=TENTH)
    )


def test_held_out_images_do_not_count_as_training_images(a_set, tmp_path):
    fake.class_folders(a_set.folder, dict.fromkeys(WNIDS, 4))
    message = index_error_of(a_set(held_out=TENTH, min_images=10), tmp_path)
    assert "too few images (9, a source of the study takes 10); lower sources" in message


def read(folder, *changes: tuple[str, str]):
    text = FILES.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "files.yaml").write_text(text)
    load_study.cache_clear()
    return load_study("files.yaml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, place in fake.of_files_study(tmp_path).items():
        monkeypatch.setenv(f"DATA_{name.upper()}", str(tmp_path / place))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_study_with_a_held_out_set_reads_one_data_set(folder):
    study = read(folder, (VAL, HELD_OUT), *NINE)
    trained, rest = index_settings(study, "things"), index_settings(study, "rest")
    assert trained.dataset == rest.dataset == "things_train"
    assert trained.held_out == rest.held_out == HeldOutImages(0.25, 0)
    assert trained.is_training and not rest.is_training
    assert index_settings(study, "things_val").held_out is None
    assert evaluation_images(study, "rest") == 250  # 1,000 are assumed
    splits = {("files", "things"): True, ("files", "rest"): True}
    assert preflight.data_set_problems({"files": study}, splits) == []


def test_held_out_set_changes_settings_of_its_training_set_only(folder):
    before = {split: index_settings(read(folder), split).digest() for split in ("things", "web")}
    study = read(folder, (VAL, HELD_OUT))
    assert index_settings(study, "things").digest() != before["things"]
    assert index_settings(study, "web").digest() == before["web"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("of: thing, fraction: 0.1", "rest.of = 'thing': no such training set; did you mean"),
        ("of: web, fraction: 0.1", "rest.of = 'web': pairs have no classes to evaluate"),
        ("of: things, fraction: 1.5", "rest.fraction = 1.5: input should be less than 1"),
        ("of: things, fraction: 0", "rest.fraction = 0: input should be greater than 0"),
        ("of: things, fraction: 0.1, seed: -1", "rest.seed = -1: input should be greater than"),
        ("of: things, share: 0.1", "rest.share = 0.1: unknown key"),
        ("of: things", "rest.fraction: missing; add it (fraction of the images of each class)"),
    ],
)
def test_error_of_a_held_out_set_is_reported(folder, keys, message):
    with pytest.raises(StudyError) as error:
        read(folder, (VAL, f"{VAL}    rest: {{kind: held_out, {keys}}}\n"))
    assert f"data.evaluation.{message}" in str(error.value)


def test_unknown_kind_of_an_evaluation_set_is_reported(folder):
    with pytest.raises(StudyError, match=r"rest\.kind = 'heldout': input should be 'files'"):
        read(folder, (VAL, f"{VAL}    rest: {{kind: heldout, of: things, fraction: 0.1}}\n"))


def test_second_held_out_set_of_a_data_set_is_refused(folder):
    again = HELD_OUT + "    again: {kind: held_out, of: things, fraction: 0.1}\n"
    with pytest.raises(StudyError, match=r"again\.of = 'things': data\.evaluation\.rest is held"):
        read(folder, (VAL, again))


def test_held_out_set_of_digits_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "tests/workflow/smoke.yaml").read_text()
    text = text.replace("{kind: writers, forms: [3]}", "{kind: held_out, of: x, fraction: 0.1}")
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(StudyError, match=r"other_writer\.kind = 'held_out': input should be 'writ"):
        load_study(tmp_path / "bad.yaml")
