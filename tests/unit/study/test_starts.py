"""Architectures that start from weights: their keys, errors, jobs, costs and captions."""

import re

import pytest

from synscale.planning.cost_model import work
from synscale.study.load import StudyError, load_study, validate
from synscale.workflow import paths, rule_values
from synscale.workflow.settings.training import classifier_settings, start_settings
from synscale.workflow.targets import NotInStudy
from tests.support.captions import rendered
from tests.support.started import PROBE, RELEASED, START, started_study
from tests.support.workflow import ROOT, SMOKE

HUB = {"start": {"model": "owner/name", "revision": "0" * 40}, "label": "released"}
KEY = "classifiers.architectures"


def study_of(edit=lambda raw: None, **architectures):
    """Return the study of `started_study` after other edits."""
    raw = started_study(**architectures)
    edit(raw)
    return validate(raw, "x").named("smoke")


def error_of(edit=lambda raw: None, **architectures) -> str:
    with pytest.raises(StudyError) as error:
        study_of(edit, **architectures)
    return str(error.value)


def test_start_from_a_run_has_the_shape_of_the_run():
    rows = study_of().classifiers.architectures
    keys = {"patch_size", "width", "depth", "heads", "pool"}
    assert rows["vit_probe"].model_dump(include=keys) == rows["vit_tiny"].model_dump(include=keys)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            PROBE | {"start": START | {"architecture": "vit_tin"}},
            f"{KEY}.probe.start.architecture = 'vit_tin': no such architecture; use one of: "
            "vit_tiny",
        ),
        (
            PROBE | {"start": START | {"architecture": "probe"}},
            f"{KEY}.probe.start.architecture = 'probe': starts from itself (probe from probe); "
            "name a run of another architecture",
        ),
        (PROBE | {"width": 16}, f"{KEY}.probe.width: that of the run it starts from; remove the"),
        (
            PROBE | {"start": START | {"seed": 7}},
            "'size': 40, 'seed': 7}: no experiment trains it; name a run of an experiment, or add "
            "its experiment",
        ),
        (
            PROBE | {"start": START | {"source": "diffusion_class_names"}},
            "no experiment trains it; name a run",
        ),
        (RELEASED | {"train": "head", "label": "x"}, f"{KEY}.probe.train = 'head': all other weig"),
        (PROBE | {"drop_path": 0.1}, f"{KEY}.probe.drop_path = 0.1: no effect on weights that"),
        (PROBE | {"train": "heads"}, f"{KEY}.probe.train = 'heads': input should be 'all' or"),
        (PROBE | {"start": START | {"sede": 1}}, f"{KEY}.probe.start.sede = 1: unknown key"),
        (HUB, f"{KEY}.probe.patch_size: missing; add it (side of a patch in pixels)"),
    ],
)
def test_start_that_cannot_be_used_is_reported_once(row, message):
    error = error_of(probe=row)
    assert message in error
    assert len(error.splitlines()) == (5 if row is HUB else 1), error


def test_architectures_that_start_from_each_other_are_reported():
    one, two = (PROBE | {"start": START | {"architecture": name}} for name in ("two", "one"))
    assert f"{KEY}.two.start.architecture = 'one': starts from itself (one from two from one)" in (
        error_of(one=one, two=two)
    )


def test_reference_that_starts_from_its_selection_is_reported():
    def edit(raw):
        raw["sources"]["best"] = {
            "kind": "selected",
            "source": "diffusion_class_names",
            "guidance": 1.5,
            "by": "recognizability",
            "keep": 0.5,
            "images": 20,
        }
        raw["experiments"]["best"] = {
            "architectures": ["vit_tiny"],
            "sizes": [10, 20],
            "seeds": [0],
            "curves": [{"source": "best"}],
        }
        raw["scores"] |= {"images": 20}
        raw["scores"]["reference"]["architecture"] = "probe"

    start = {"source": "best", "architecture": "vit_tiny", "size": 20, "seed": 0}
    assert error_of(edit, probe=PROBE | {"start": start}) == (
        f"x: {KEY}.probe.start.source = 'best': selected images, so the model that selects "
        "sources.best (scores.reference) would depend on a selection; name a model of other images"
    )


def test_training_depends_on_the_group_of_its_start():
    study = study_of()
    folder = ["results/smoke/classifiers/real/vit_tiny"]
    assert paths.start_folder(study, "real", "vit_probe") == folder
    assert paths.start_folder(study, "real", "vit_tiny") == []


@pytest.mark.parametrize(
    ("runs_per_job", "group"), [("curve", "-g1.5"), ("one", "-g1.5-n40-seed0")]
)
def test_start_at_a_guidance_scale_is_in_its_group(runs_per_job, group):
    start = START | {"source": "diffusion_class_names", "guidance": 1.5}

    def edit(raw):
        raw["classifiers"]["runs_per_job"] = runs_per_job

    study = study_of(edit, probe=PROBE | {"start": start})
    group_of_probe = "probe" if runs_per_job == "curve" else "probe-n10-seed0"
    expected = f"results/smoke/classifiers/diffusion_class_names/vit_tiny{group}"
    assert paths.start_folder(study, "real", group_of_probe) == [expected]


def test_released_weights_are_fetched_for_their_architecture():
    study = study_of(released=RELEASED | HUB)
    assert paths.start_folder(study, "real", "released") == ["results/smoke/starts/released"]
    weights = start_settings(study, "released")
    assert (weights.model, weights.revision, weights.use) == ("owner/name", "0" * 40, "classifier")
    rule_values.check_values("fetch_start", study, {"architecture": "released"})
    with pytest.raises(NotInStudy, match="no architecture that starts from released weights 'vit_"):
        rule_values.check_values("fetch_start", study, {"architecture": "vit_tiny"})
    with pytest.raises(NotInStudy, match="vit_tiny starts from no released weights"):
        start_settings(study, "vit_tiny")


def test_start_changes_no_settings_of_other_architectures():
    def digest(study, group):
        return classifier_settings(study, "real", group).digest()

    plain, started = load_study(SMOKE), study_of()
    assert digest(started, "vit_tiny") == digest(plain, "vit_tiny")
    other = study_of(vit_probe=PROBE | {"start": START | {"seed": 1}})
    assert digest(other, "vit_probe") != digest(started, "vit_probe")


def test_probe_costs_a_third_of_its_full_training():
    study = study_of()
    units = {
        name: work(study, "train_classifiers", {"source": "real", "group": name}).units
        for name in ("vit_probe", "vit_tuned")
    }
    assert units["vit_tuned"]["tflop"] == pytest.approx(3 * units["vit_probe"]["tflop"])
    assert units["vit_tuned"]["step"] == units["vit_probe"]["step"]


def test_automatic_panel_compares_starts_with_random_weights():
    def edit(raw):
        raw["laws"]["supervised"]["experiments"] = ["scaling", "started"]
        raw["figures"]["supervised_scaling"] = "auto"

    panels = study_of(edit).figures.supervised_scaling.panels
    assert [panel.title for panel in panels] == ["tiny ViT", "weights to start from"]
    assert panels[1].architectures == ["vit_tiny", "vit_probe", "vit_tuned"]
    assert [curve.source for curve in panels[1].curves] == ["real"]


def test_caption_states_what_classifiers_start_from(tmp_path, monkeypatch):
    def edit(raw):
        raw["laws"]["supervised"]["experiments"] = ["scaling", "started"]
        raw["figures"]["supervised_scaling"] = "auto"

    probe = PROBE | {"start": START | {"source": "diffusion_class_names", "guidance": 1.5}}
    twice = {"start": START | {"architecture": "vit_probe"}, "label": "again"}
    study = study_of(edit, vit_probe=probe, twice=twice, released=RELEASED | HUB)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"<[^>]*>|\s+", " ", rendered("supervised_scaling", "smoke", study))
    synthetic = (
        "tiny ViT, trained on 40 images of diffusion class names at guidance 1.5 (0 real) with "
        "seed 0"
    )
    for part in (
        f"linear probe from {synthetic}: only the head is trained",
        f"again from linear probe, trained on 40 images of real (40 real) with seed 0, which "
        f"starts from {synthetic}: all weights are trained",
        "released from released weights (owner/name): all weights are trained",
    ):
        assert part in text
