"""Figures and tables of studies that do not choose them."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synscale.study.automatic import SECTIONS
from synscale.study.load import StudyError, read_yaml, validate
from synscale.workflow.settings.figures import names_of
from tests.support.workflow import ROOT, SMOKE

DIGITS = ROOT / "studies/digits.yaml"
NEEDS_MORE = {"repetition", "selection"}  # figures that need other architectures or sources
MANUAL_TABLES = {"claims", "versus_paper"}  # tables that need a choice by the study


def study_of(path=DIGITS, edit: Callable[[dict], None] = lambda raw: None, **sections):
    """Return a study without its figures and tables, after an edit, with other sections."""
    raw = read_yaml(path)
    del raw["figures"], raw["tables"]
    edit(raw)
    return validate(raw | sections, "x")


@pytest.mark.parametrize("path", [DIGITS, SMOKE])
def test_study_without_figures_gets_all_supported_ones(path):
    study = study_of(path)
    assert set(names_of(study.figures)) == set(type(study.figures).model_fields) - NEEDS_MORE
    assert set(names_of(study.tables)) == set(type(study.tables).model_fields) - MANUAL_TABLES


def test_automatic_figures_have_the_curves_of_the_experiments():
    figures = study_of().figures
    [small, large] = figures.supervised_scaling.panels
    assert (small.law, small.architectures) == ("supervised", ["vit_small"])
    assert {curve.source for curve in large.curves} == {"real", "diffusion_class_names"}
    assert figures.samples.generator == "diffusion"
    assert figures.limited_real.mixtures == ["real_30", "real_120", "real_480"]
    assert figures.joint_law.mixtures == ["real_30", "real_120", "real_480"]
    assert figures.joint_law.experiments == [
        "scaling_real",
        "scaling",
        "limited_30",
        "limited_120",
        "limited_480",
    ]
    assert [panel.title for panel in figures.teaser.panels] == ["Supervised", "CLIP"]


def test_chosen_figures_are_the_only_ones_of_a_study():
    study = study_of(figures={"samples": "auto"}, tables={})
    assert names_of(study.figures) == ["samples"] and names_of(study.tables) == []


def test_study_of_one_real_curve_has_no_synthetic_figures():
    def edit(raw):
        del raw["clip"]
        raw["experiments"] = {"scaling_real": raw["experiments"]["scaling_real"]}
        raw["laws"] = {"supervised": raw["laws"]["supervised"] | {"experiments": ["scaling_real"]}}

    figures = names_of(study_of(edit=edit).figures)
    assert {"supervised_scaling", "training_curves"} <= set(figures)
    absent = {"exchange_rate", "per_class", "limited_real", "ood_scaling", "configuration_sweep"}
    assert not absent & set(figures) and not any("clip" in name for name in figures)


@given(st.data())
def test_automatic_figures_are_valid_whatever_is_removed(data):
    """Laws and experiments are removed at random; what is left gives no error."""

    def edit(raw):
        law_names = set(data.draw(st.lists(st.sampled_from(sorted(raw["laws"])), min_size=1)))
        raw["laws"] = {name: row for name, row in raw["laws"].items() if name in law_names}
        used = {name for row in raw["laws"].values() for name in row["experiments"]}
        removable = sorted(raw["experiments"].keys() - used - {"scaling_real"})
        removed = data.draw(st.lists(st.sampled_from(removable))) if removable else []
        for name in removed:
            raw["experiments"].pop(name, None)

    study = study_of(edit=edit)
    assert "training_curves" in names_of(study.figures)


@pytest.mark.parametrize(
    ("section", "name", "message"),
    [
        ("tables", "claims", "tables.claims = 'auto': not supported (needs a choice by the study"),
        ("figures", "sample", "figures.sample = 'auto': unknown key; did you mean 'samples'?"),
    ],
)
def test_figure_that_cannot_be_automatic_is_an_error(section, name, message):
    with pytest.raises(StudyError, match=re.escape(message)):
        study_of(**{section: {name: "auto"}})


def test_unsupported_figure_is_an_error_if_it_is_requested():
    def edit(raw):
        raw["laws"] = {"clip": raw["laws"]["clip"]}

    needs = "needs a law of classifiers with a synthetic curve"
    message = f"figures.exchange_rate = 'auto': not supported ({needs}); write its keys, or"
    with pytest.raises(StudyError, match=re.escape(message)):
        study_of(edit=edit, figures={"exchange_rate": "auto"})


def test_other_errors_are_reported_without_automatic_figures():
    def edit(raw):
        raw["laws"]["supervised"]["experiments"] = ["scalling"]

    with pytest.raises(StudyError) as error:
        study_of(edit=edit)
    assert len(str(error.value).splitlines()) == 1
    assert "laws.supervised.experiments = 'scalling'" in str(error.value)


def test_every_figure_has_an_automatic_form():
    for model, rows in SECTIONS.values():
        assert rows.keys() == model.model_fields.keys() - MANUAL_TABLES
