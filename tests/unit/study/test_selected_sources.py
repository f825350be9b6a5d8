"""Sources of kind selected: errors of a study, runs on them, and mixtures with them."""

import pandas as pd
import pytest

from scripts import write_provenance
from synscale.evaluation import selection_shards
from synscale.planning.cost_model import work
from synscale.study.load import StudyError, load_study, read_yaml, validate
from synscale.study.models import resolve_mixture
from synscale.workflow import paths
from synscale.workflow.runs import Run, training_inputs
from synscale.workflow.settings.curves import Windows, labelled
from synscale.workflow.settings.evaluation import score_settings
from synscale.workflow.settings.selection import selection_settings
from synscale.workflow.settings.selection_figure import selection_figure_settings
from synscale.workflow.settings.shard_index import shard_index_settings
from synscale.workflow.shards import images_behind
from tests.support.workflow import ROOT, SMOKE

BEST = {
    "kind": "selected",
    "source": "diffusion_class_names",
    "guidance": 1.5,
    "by": "recognizability",
    "keep": 0.5,
    "images": 20,
}
CLIP = {"source": "real", "architecture": "clip_tiny", "size": 40, "seed": 0}


def study_of(edit=lambda raw: None, **changes):
    """Return the smoke study with a source `best`, an experiment on it, and other edits."""
    raw = read_yaml(SMOKE)
    row = {key: value for key, value in (BEST | changes).items() if value != "missing"}
    raw["sources"]["best"] = row
    raw["experiments"]["best"] = {
        "architectures": ["vit_tiny"],
        "sizes": [10, 20],
        "seeds": [0],
        "curves": [{"source": "best"}],
    }
    raw["scores"]["images"] = 20
    edit(raw)
    return validate(raw, "x").named("smoke")


OTHER_RUN = CLIP | {"seed": 7}
# Changes of the source, and messages.
CASES = [
    ({"source": "diffusion_clas_names"}, ["no such source; did you mean 'diffusion_class_names'?"]),
    (
        {"source": "real", "guidance": "missing"},
        ["source = 'real': a source of kind real (expected synthetic or images)"],
    ),
    ({"source": "best"}, ["source = 'best': a source of kind selected (expected synthetic"]),
    (
        {"source": "diffusion_alt_texts"},
        ["source = 'diffusion_alt_texts': its prompts name no class, but each class keeps"],
    ),
    (
        {"guidance": "missing"},
        ["guidance = None: 'diffusion_class_names' has no images at it", "scales: 1, 1.5"],
    ),
    ({"guidance": 3.0}, ["guidance = 3.0: 'diffusion_class_names' has no images at it"]),
    ({"keep": 1.0}, ["keep = 1.0: input should be less than 1"]),
    ({"keep": 0}, ["keep = 0: input should be greater than 0"]),
    (
        {"keep": 0.33},
        ["keep = 0.33: keeps 6.6 images of a window of 20 (expected a whole number from 1 on)"],
    ),
    (
        {"window": 15},
        ["window = 15: does not divide the 20 images of a shard of 'diffusion_class_names'"],
    ),
    (
        {"images": 30},
        [
            "images = 30: more than the 20 that are selected from 40 images in windows of 20 at "
            "keep 0.5; use 20 or raise sources.diffusion_class_names.images"
        ],
    ),
    ({"images": 15}, ["images = 15: not a multiple of the 10 classes; use 10"]),
    ({"by": "beauty"}, ["by = 'beauty': input should be 'recognizability', 'diversity' or"]),
    ({"by": "clip_score"}, ["by = 'clip_score': no CLIP model (sources.best.clip is missing)"]),
    ({"by": "clip_score", "clip": OTHER_RUN}, ["clip = {'source': 'real'", "no experiment trains"]),
    ({"clip": CLIP}, ["clip: not used by recognizability; remove the key"]),
]


@pytest.mark.parametrize(("changes", "messages"), CASES)
def test_selected_source_that_does_not_fit_is_reported(changes, messages):
    with pytest.raises(StudyError, match=r"x: sources\.best\.") as error:
        study_of(**changes)
    assert all(message in str(error.value) for message in messages)


def test_size_above_the_selected_images_is_reported():
    message = r"experiments.best.sizes = 20: more than the 10 of sources.best.images"
    with pytest.raises(StudyError, match=message):
        study_of(images=10)


def test_selection_by_clip_without_clip_models_is_reported():
    def without_clip(raw):
        raw.pop("clip")

    with pytest.raises(StudyError, match=r"sources.best.by = 'clip_score': no CLIP model \(clip"):
        study_of(without_clip, by="clip_score", clip=CLIP)


def test_selection_without_scores_is_reported():
    with pytest.raises(StudyError, match="scores: missing"):
        study_of(lambda raw: raw.pop("scores"))


@pytest.mark.parametrize("trained_on", ["best", "mixed"])
def test_reference_that_depends_on_a_selection_is_reported(trained_on):
    """It would select the images that it is trained on."""

    def cycle(raw):
        raw["sources"]["mixed"] = {
            "kind": "mixture",
            "label": "x",
            "parts": [{"source": "real", "images": 10}, {"source": "best"}],
        }
        raw["experiments"]["best"]["curves"] = [{"source": trained_on}]
        raw["scores"]["reference"] |= {"source": trained_on, "size": 20}

    message = f"scores.reference.source = '{trained_on}': selected images, so the model that"
    with pytest.raises(StudyError, match=message):
        study_of(cycle)


def test_two_equal_selections_are_reported():
    def repeat(raw):
        raw["sources"]["again"] = BEST | {"images": 10}

    with pytest.raises(StudyError, match=r"sources.again = .*: the same as sources.best"):
        study_of(repeat)


def test_runs_on_selected_images_read_the_selected_shards():
    study = study_of()
    assert training_inputs(study, "best", "vit_tiny") == {"best": ["00001"]}
    assert paths.image_files(study, "best", 10) == ["results/smoke/selected/best/00000.tar"]
    tar = paths.unselected_tar(study, "best", "00001")
    assert tar == "results/smoke/images/diffusion_class_names/00001.tar"
    assert paths.selecting_model(study, "best") == paths.reference_folder(study)
    settings = selection_settings(study, "best", "00001")
    assert (settings.window, settings.per_window, settings.start) == (20, 10, 10)
    assert images_behind(study, "best", 11) == 40 and images_behind(study, "best", 10) == 20
    assert score_settings(study, "best").guidance == (None,)


def test_shards_of_one_scale_are_selected_from():
    study = study_of(lambda raw: raw.update(guidance_per_shard="one"))
    tar = paths.unselected_tar(study, "best", "00001")
    assert tar == "results/smoke/images/diffusion_class_names/g1_5-00001.tar"


def test_clip_run_selects():
    study = study_of(by="clip_score", clip=CLIP)
    assert paths.selecting_model(study, "best") == "results/smoke/clip/real/clip_tiny"
    assert selection_settings(study, "best", "00000").model == Run("real", None, "clip_tiny", 40, 0)
    assert shard_index_settings(study, "best", "00000").weights.runs[0].source == "real"


def test_mixture_with_a_selected_part_has_its_first_images():
    def mix(raw):
        raw["sources"]["mixed"] = {
            "kind": "mixture",
            "label": "x",
            "parts": [{"source": "real", "images": 10}, {"source": "best"}],
        }
        raw["experiments"]["best"]["curves"] = [{"source": "mixed"}]

    study = study_of(mix)
    parts = resolve_mixture(study.sources, "mixed", None, 20)
    assert [(part.source, part.images) for part in parts] == [("real", 10), ("best", 10)]
    assert training_inputs(study, "mixed", "vit_tiny") == {"real": ["00000"], "best": ["00000"]}


def test_index_of_a_selection_depends_on_its_classifier():
    def digest(edit=lambda raw: None, **changes):
        return shard_index_settings(study_of(edit, **changes), "best", "00000").digest()

    def longer_training(raw):
        raw["classifiers"]["iterations"][40] = 6

    def other_generator(raw):
        raw["generators"]["diffusion"]["training"]["iterations"] = 21

    assert digest() == digest(label="other name")
    digests = [digest(), digest(longer_training), digest(other_generator), digest(window=10)]
    assert len({*digests, digest(by="diversity")}) == 5


def test_work_of_a_selection_counts_the_images_of_its_windows():
    job = work(study_of(window=10), "select_images", {"source": "best", "shard": "00001"})
    assert job.units == {"job": 1, "image": 20}
    assert job.outputs < 2000  # a manifest, no images


def test_selected_curves_have_windows_and_another_look():
    study = study_of()
    curves = [{"source": "best"}, {"source": "diffusion_class_names", "guidance": [1.5]}]
    rows = [type(study.experiments["best"].curves[0]).model_validate(curve) for curve in curves]
    best, everything = labelled(study, rows, ["vit_tiny"])
    assert best.windows == Windows(20, 10) and everything.windows is None
    assert best.windows.generated(10) == 20 and best.windows.generated(11) == 40
    assert (best.label, best.style.kind) == ("best", "synthetic")
    assert best.style.hue != everything.style.hue


def test_extensions_compare_selections_with_all_images():
    study = load_study(ROOT / "studies/digits_extensions.yaml")
    settings = selection_figure_settings(study)
    assert [pair.selected.source for pair in settings.compared] == ["recognizable", "diverse"]
    assert {pair.everything.key[:2] for pair in settings.compared} == {
        ("diffusion_class_names", 1.5)
    }


def test_selection_figure_of_other_curves_is_reported():
    def edit(raw):
        raw["laws"]["supervised"]["experiments"].append("best")
        raw["laws"]["supervised"]["sizes"] = [10, 40]
        raw["experiments"]["best"]["sizes"] = [10, 20, 40]
        raw["sources"]["diffusion_class_names"]["images"][1.5] = 80
        curves = [{"source": "real"}]
        raw["figures"] = {
            "selection": {"law": "supervised", "architecture": "vit_tiny", "curves": curves}
        }
        raw["tables"] = {}

    message = "figures.selection.curves = 'real': a source of kind real .expected selected"
    with pytest.raises(StudyError, match=message):
        study_of(edit, images=40)


def test_provenance_has_the_hash_of_selected_images(tmp_path, monkeypatch):
    study = study_of()
    monkeypatch.chdir(tmp_path)
    [before] = write_provenance.selected(study)
    assert before["selected_from"] == "diffusion_class_names at guidance 1.5"
    assert (before["images"], before["sha256"]) == ("0", "")
    rows = pd.DataFrame({"class_id": [0, 1], "sha256": ["a", "b"]})
    selection_shards.write(rows, "images/00000.tar", paths.image_files(study, "best", 10)[0])
    [after] = write_provenance.selected(study)
    assert after["images"] == "2" and len(after["sha256"]) == 64
