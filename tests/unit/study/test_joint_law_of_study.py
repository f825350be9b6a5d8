"""The joint law of a study: numbers of images of its training sets, and its automatic form."""

import re

import pytest

from synscale.analysis.laws import joint_points
from synscale.study.checks import joint_law
from synscale.study.load import StudyError, load_study, read_yaml, validate
from synscale.study.models.two_kinds import TwoKinds, two_kinds
from synscale.workflow.settings.joint_law import joint_law_settings
from synscale.workflow.settings.training import classifier_settings
from tests.support.workflow import ROOT, SMOKE

DIGITS = load_study(ROOT / "studies/digits.yaml")


def smoke(**changes):
    """Return the smoke study after changes of keys `section__name` to values or callables."""
    raw = read_yaml(SMOKE)
    for key, value in changes.items():
        section, name = key.split("__")
        raw[section][name] = value(raw[section][name]) if callable(value) else value
    return validate(raw, "x")


def test_training_sets_count_images_of_both_kinds():
    rows = {(row.source, row.size): row for row in joint_law_settings(DIGITS).sets}
    assert (rows["real", 480].real, rows["real", 480].synthetic) == (480, 0)
    assert (rows["diffusion_class_names", 3840].synthetic) == 3840
    assert (rows["real_120", 960].real, rows["real_120", 960].synthetic) == (120, 840)
    assert len(rows) == 5 + 8 + 6 + 4 + 3


def test_mixtures_of_other_kinds_have_no_joint_law():
    assert two_kinds(DIGITS.sources, "real_30") == TwoKinds("real", "diffusion_class_names", 1.5)
    assert two_kinds(DIGITS.sources, "real") is None
    parts = DIGITS.sources["real_30"].parts
    three = DIGITS.sources["real_30"].model_copy(update={"parts": [*parts, parts[1]]})
    assert two_kinds(DIGITS.sources | {"three": three}, "three") is None


def test_joint_law_of_few_pairs_is_an_error():
    raw = read_yaml(SMOKE)
    raw["experiments"]["scaling"]["sizes"] = [10, 20]
    raw["experiments"]["limited"]["sizes"] = [20]
    raw["figures"] = {"joint_law": raw["figures"]["joint_law"]}
    raw["tables"], raw["laws"] = {}, {}
    expected = re.escape("figures.joint_law: 5 different pairs of numbers of images (expected 7")
    with pytest.raises(StudyError, match=expected):
        validate(raw, "x")


def test_automatic_joint_law_of_a_study_without_one_is_an_error():
    raw = read_yaml(SMOKE)
    del raw["experiments"]["limited"]
    raw["figures"], raw["tables"] = {"joint_law": "auto"}, {}
    message = "figures.joint_law = 'auto': not supported (no law, curve or source for it)"
    with pytest.raises(StudyError, match=re.escape(message)):
        validate(raw, "x")


def test_both_packages_require_as_many_pairs():
    assert joint_law.FEWEST == joint_points.FEWEST


def test_images_made_elsewhere_have_no_automatic_price():
    folders = {"kind": "images", "folder": "./x", "images": 40}
    parts = [{"source": "real", "images": 10}, {"source": "folders"}]
    raw = read_yaml(SMOKE)
    raw["sources"]["folders"] = folders
    raw["sources"]["real_10"]["parts"] = parts
    raw["experiments"]["scaling"]["curves"].append({"source": "folders"})
    message = "figures.joint_law.prices.synthetic = 'auto': 'folders' was generated elsewhere"
    with pytest.raises(StudyError, match=message):
        validate(raw, "x")


def test_weight_of_one_changes_no_digest():
    parts = read_yaml(SMOKE)["sources"]["real_10"]["parts"]
    weighted = smoke(
        sources__real_10=lambda row: row | {"parts": [parts[0] | {"weight": 1}, parts[1]]}
    )
    plain = smoke()
    digests = [
        classifier_settings(study, "real_10", "vit_tiny").digest() for study in (plain, weighted)
    ]
    assert digests[0] == digests[1]
